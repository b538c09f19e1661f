"""What a model is made of at one moment, apart from the values of its own weights, and the way back to it.

Unlike :func:`~easyedit_ice.preserve.preserved`, which guards one block, this reaches over as many edits as one likes,
and includes what methods keep in modules of their own: adapters, keys, lists of facts.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class Structure:
    """Modules with their attributes, children and hooks; gradients and flags; configuration and padding.

    Args:
        model: as it is now.
        tok: its tokenizer.
        own: modules that are the model's own; the content of all others is copied, so that it can be brought back.
    """

    def __init__(self, model: nn.Module, tok: Any, own: Sequence[nn.Module]) -> None:
        self._tok = tok
        self._padding = tok.padding_side, tok.pad_token
        self._configs = [(config, dict(vars(config))) for config in _configs(model)]
        self._flags = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
        known = {id(module) for module in own}
        self._own = [(module, dict(vars(module)), _tables(module)) for module in own]
        self._added = [module for module in model.modules() if id(module) not in known]
        memo = pinned(model, tok, own) | {id(module): module for module in self._added}
        contents = [dict(vars(module)) for module in self._added]
        self._contents = copy.deepcopy(contents, memo | _graphs(contents))

    def restore(self) -> None:
        """Bring all of it back; once."""
        for module, attributes, tables in self._own:
            _replace(vars(module), attributes)
            for table, entries in tables:
                _replace(table, entries)
        for module, attributes in zip(self._added, self._contents, strict=True):
            _replace(vars(module), attributes)
        self.restore_flags()
        self.restore_configuration()

    def restore_flags(self) -> None:
        """Bring gradients and ``requires_grad`` back."""
        for parameter, requires_grad, grad in self._flags:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad

    def restore_configuration(self) -> None:
        """Bring configuration and padding back."""
        for config, values in self._configs:
            _replace(vars(config), values)
        self._tok.padding_side, self._tok.pad_token = self._padding


def pinned(model: nn.Module, tok: Any, own: Sequence[nn.Module]) -> dict[int, Any]:
    """What copies of a method's state shall refer to and not copy, as ``deepcopy`` takes it."""
    kept: list[Any] = [*own, *_configs(model), tok]
    for module in own:
        kept += [*vars(module)["_parameters"].values(), *vars(module)["_buffers"].values()]
    return {id(thing): thing for thing in kept if thing is not None}


def _graphs(contents: Sequence[dict[str, Any]]) -> dict[int, Tensor]:
    """Results of a computation, which cannot be copied and are never written to."""
    values = [value for content in contents for value in content.values() if isinstance(value, Tensor)]
    return {id(value): value for value in values if not value.is_leaf}


def _tables(module: nn.Module) -> list[tuple[Any, Any]]:
    """A module's tables of children, parameters and hooks, which handles refer to, each with a copy of its entries."""
    return [(value, copy.copy(value)) for value in vars(module).values() if isinstance(value, (dict, set))]


def _replace(table: Any, entries: Any) -> None:
    table.clear()
    table.update(entries)


def _configs(model: nn.Module) -> list[Any]:
    return [config for name in ("config", "generation_config") if (config := getattr(model, name, None)) is not None]
