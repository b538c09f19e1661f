"""Leave a model exactly as it was found, whatever happens in between.

What is kept is everything about a model but the values of its weights, and but what this package itself keeps with it
(:mod:`easyedit_ice.model.edit_state`): its module tree, hooks, flags and attributes. Editors train adapters inside;
when the block ends, by a return, an exception or Ctrl-C, not one of them is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from easyedit_ice.model.edit_state import state_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.interrupts import ending_with, finish
from easyedit_ice.runtime.randomness import process_state_kept


@contextmanager
def preserved(model: nn.Module, tok: Tokenizer | None = None) -> Iterator[None]:
    """Restore modules, hooks, ``requires_grad``, ``grad``, mode, configuration, padding and torch's random state.

    Args:
        model: restored to the very modules, parameters, hooks and attributes it had.
        tok: its padding side and padding token are restored.
    """
    frame = Frame(model, tok, list(model.modules()))
    with ending_with(frame.restore), process_state_kept(model):
        yield


class Frame:
    """All about a model but the values of its weights, as it is now.

    Args:
        model: its gradients, flags and configuration are kept.
        tok: its padding side and padding token are kept.
        modules: of the model; their attributes, children, parameters and hooks are kept.
    """

    def __init__(self, model: nn.Module, tok: Tokenizer | None, modules: Sequence[nn.Module]) -> None:
        state_of(model)  # is an attribute from here on, and so not taken away
        self._tok = tok
        self._padding = None if tok is None else (tok.padding_side, tok.pad_token)
        self._configs = [(config, dict(vars(config))) for config in configs(model)]
        self._flags = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
        self._modules = [(module, dict(vars(module)), _tables(module)) for module in modules]

    def restore(self) -> None:
        """Bring all of it back; an interrupt in its midst comes out when all of it is."""
        finish(self._restore)

    def _restore(self) -> None:
        for module, attributes, tables in self._modules:
            replace(vars(module), attributes)
            for table, entries in tables:
                replace(table, entries)
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
            replace(vars(config), values)
        if self._tok is not None and self._padding is not None:
            self._tok.padding_side, self._tok.pad_token = self._padding


def configs(model: nn.Module) -> list[Any]:
    """The configurations a model has."""
    return [config for name in ("config", "generation_config") if (config := getattr(model, name, None)) is not None]


def replace(table: Any, entries: Any) -> None:
    """Give a dictionary or set these entries and no others."""
    table.clear()
    table.update(entries)


def _tables(module: nn.Module) -> list[tuple[Any, Any]]:
    """A module's tables of children, parameters and hooks, each with a copy of its entries.

    The tables themselves are kept, since the handles of hooks refer to them. Most are empty, which costs no copy.
    """
    return [(table, table.copy() if table else ()) for table in vars(module).values() if isinstance(table, (dict, set))]
