"""What a model is made of at one moment, apart from the values of its own weights, and the way back to it.

Unlike :func:`~easyedit_ice.model.snapshot.preserved`, which guards one block, this reaches over as many edits as one
likes, and includes what methods keep in modules of their own: adapters, keys, lists of facts.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from easyedit_ice.model.snapshot import Frame, configs, replace
from easyedit_ice.model.tokenizer import Tokenizer


class Structure:
    """The frame of a model and the contents of the modules added to it.

    Args:
        model: as it is now.
        tok: its tokenizer.
        own: modules that are the model's own; the content of all others is copied, so that it can be brought back.

    Attributes:
        frame: flags, configuration, and the model's own modules.
    """

    def __init__(self, model: nn.Module, tok: Tokenizer, parts: Sequence[nn.Module]) -> None:
        self.frame = Frame(model, tok, parts)
        ids = {id(module) for module in parts}
        self._added = [module for module in model.modules() if id(module) not in ids]
        memo = pinned(model, tok, parts) | {id(module): module for module in self._added}
        contents = [dict(vars(module)) for module in self._added]
        self._contents = copy.deepcopy(contents, memo | _graphs(contents))

    def restore(self) -> None:
        """Bring all of it back; once."""
        for module, attributes in zip(self._added, self._contents, strict=True):
            replace(vars(module), attributes)
        self.frame.restore()


def pinned(model: nn.Module, tok: Tokenizer, parts: Sequence[nn.Module]) -> dict[int, Any]:
    """What copies of a method's state shall refer to and not copy, as ``deepcopy`` takes it."""
    things: list[Any] = [*parts, *configs(model), tok]
    for module in parts:
        things += [*vars(module)["_parameters"].values(), *vars(module)["_buffers"].values()]
    return {id(thing): thing for thing in things if thing is not None}


def _graphs(contents: Sequence[dict[str, Any]]) -> dict[int, Tensor]:
    """Results of a computation, which cannot be copied and are never written to."""
    values = [value for content in contents for value in content.values() if isinstance(value, Tensor)]
    return {id(value): value for value in values if not value.is_leaf}
