"""Leave a model exactly as it was found, whatever happens in between.

What is kept is everything about a model but the values of its weights: its module tree, hooks, flags and
attributes. Editors train adapters inside; when the block ends, by a return, an exception or Ctrl-C, not one of
them is left.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def preserved(model: nn.Module, tok: Any | None = None) -> Iterator[None]:
    """Restore modules, hooks, ``requires_grad``, ``grad``, mode, configuration, padding and torch's random state.

    Args:
        model: restored to the very modules, parameters, hooks and attributes it had.
        tok: its padding side and padding token are restored.
    """
    modules = [(module, dict(vars(module)), _tables(module)) for module in model.modules()]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    configs = [(config, dict(vars(config))) for config in _configs(model)]
    padding = None if tok is None else (tok.padding_side, tok.pad_token)
    try:
        with torch.random.fork_rng(devices=_cuda_devices(model)):
            yield
    finally:
        for module, attributes, tables in modules:
            vars(module).clear()
            vars(module).update(attributes)
            for table, entries in tables:
                table.clear()
                table.update(entries)
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        for config, values in configs:
            vars(config).clear()
            vars(config).update(values)
        if padding is not None:
            tok.padding_side, tok.pad_token = padding


def _tables(module: nn.Module) -> list[tuple[Any, Any]]:
    """A module's tables of children, parameters and hooks, each with a copy of its entries.

    The tables themselves are kept, since the handles of hooks refer to them.
    """
    return [
        (table, copy.copy(table))
        for name, table in vars(module).items()
        if name.startswith("_") and isinstance(table, (dict, set))
    ]


def _configs(model: nn.Module) -> list[Any]:
    return [config for name in ("config", "generation_config") if (config := getattr(model, name, None)) is not None]


def _cuda_devices(model: nn.Module) -> list[int]:
    return sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
