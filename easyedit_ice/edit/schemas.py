"""Dataclasses of settings as schemas of OmegaConf, in which a boolean is true or false.

OmegaConf takes every number but 0 for true, so that ``natural_norm=2`` would pass for a setting that was understood.
"""

from __future__ import annotations

from typing import Any, cast

from omegaconf import BooleanNode, DictConfig, OmegaConf
from omegaconf.errors import ValidationError

_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}
"""YAML's words for booleans."""


class StrictBoolean(BooleanNode):
    """A value that is true or false, as a boolean or in YAML's words."""

    def _validate_and_convert_impl(self, value: Any) -> bool:
        boolean = _WORDS.get(value.lower()) if isinstance(value, str) else value
        if not isinstance(boolean, bool):
            raise ValidationError("Value '$VALUE' of type '$VALUE_TYPE' is no boolean; write true or false")
        return boolean

    def __deepcopy__(self, memo: dict[int, Any]) -> StrictBoolean:
        copied = StrictBoolean()
        self._deepcopy_impl(copied, memo)
        return copied


def schema(settings: Any) -> DictConfig:
    """The schema of a dataclass, or of an object of one, all values of which are plain or left open."""
    structured = cast("DictConfig", OmegaConf.structured(settings))
    for name in list(structured):
        node = structured._get_node(name)
        if isinstance(node, BooleanNode):
            structured[name] = StrictBoolean(node._value(), is_optional=node._is_optional())
    return structured
