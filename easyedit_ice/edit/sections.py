"""Settings that belong together, each with a help text and bounds.

A setting's type comes from its annotation; its meaning and its bounds stand in its metadata. A section lies beside what
it sets, and builds it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields
from typing import Any, TypeVar

S = TypeVar("S", bound="Section")


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple[Any, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
) -> Any:
    """A dataclass field with help text and bounds.

    Args:
        default: the value if none is given; lists are copied.
        help: what it does, with its unit.
        choices: the only values allowed.
        low: least value allowed.
        high: greatest value allowed.
        above: the value must be greater than this.
    """
    bounds = {"choices": choices, "low": low, "high": high, "above": above}
    metadata = {"help": help} | {name: bound for name, bound in bounds.items() if bound is not None}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def other_default(cls: type, name: str, default: Any) -> Any:
    """A setting of a parent class with another default, and the same help and bounds."""
    metadata = next(field.metadata for field in fields(cls) if field.name == name)
    return setting(default, **metadata)


@dataclass
class Section:
    """Settings that belong together, and what follows from them."""

    def check(self) -> None:
        """Refuse settings that do not go together.

        Raises:
            HyperParamsError: they do not.
        """

    def section(self, kind: type[S]) -> S:
        """The settings of one section by themselves."""
        return kind(**{field.name: getattr(self, field.name) for field in fields(kind)})


def type_name(field: dataclasses.Field[Any]) -> str:
    """The annotated type of a setting."""
    name = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
    return name
