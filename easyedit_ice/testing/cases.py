"""One algorithm on one tiny model, and the instruments by which a promise is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from easyedit_ice.edit.apply import solve_with
from easyedit_ice.edit.beside import gated_in
from easyedit_ice.edit.gated_delta import GatedDelta
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.model.edit_state import ATTRIBUTE
from easyedit_ice.model.pretrained import pretrained
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.testing.tiny_models import FACTS, Shape, tokenizer


class BrokenPromise(AssertionError):
    """A promise does not hold."""


def require(holds: bool, message: str) -> None:
    """Raise :class:`BrokenPromise` with this message unless the condition holds."""
    if not holds:
        raise BrokenPromise(message)


_FEW = 8
"""Forward passes of a solve that are all struck at."""


@dataclass
class Case:
    """One algorithm on one tiny model.

    Attributes:
        spec: the algorithm.
        hparams: its settings.
        shape: the kind of model.
        device: that the model is on.
        model: freshly built.
        tok: its tokenizer, a copy of its own.
    """

    spec: Algorithm
    hparams: EditHyperParams
    shape: Shape
    device: str = "cpu"
    model: nn.Module = field(init=False)
    tok: Tokenizer = field(init=False)

    def __post_init__(self) -> None:
        self.model, self.tok = self.shape.build(self.device), deepcopy(tokenizer())

    def twin(self) -> Case:
        """The same case with an untouched model."""
        return Case(self.spec, self.hparams, self.shape, self.device)

    def solve(self, *facts: Mapping[str, Any]) -> WeightUpdate:
        """The update for some facts, by default the first of the tiny ones."""
        return solve_with(self.spec, self.model, self.tok, list(facts or FACTS[:1]), self.hparams)

    def moments(self) -> list[int]:
        """Forward passes of the first solve on a model to strike at: all, or of many the first, the middle, the last.

        What an algorithm keeps beyond a model is there already.
        """
        self.twin().solve()
        fresh = self.twin()
        calls: list[None] = []
        fresh.model.register_forward_pre_hook(lambda module, args: calls.append(None))
        fresh.solve()
        if len(calls) <= _FEW:
            return list(range(1, len(calls) + 1))
        return [1, len(calls) // 2, len(calls)]


@contextmanager
def raising(model: nn.Module, error: type[BaseException], at_call: int) -> Iterator[None]:
    """Raise at the given forward pass of the model."""
    calls = 0

    def strike(module: nn.Module, args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == at_call:
            raise error

    handle = model.register_forward_pre_hook(strike)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def coming_out(error: type[BaseException]) -> Iterator[None]:
    """The error comes out, and ends here."""
    try:
        yield
    except error:
        return
    raise BrokenPromise(f"{error.__name__} in the middle of an edit was swallowed")


@contextmanager
def unchanged(case: Case) -> Iterator[None]:
    """The model and the tokenizer are the same before and after."""
    weights, before = state(case.model), _traits(case)
    yield
    after = _traits(case)
    require(state(case.model) == weights, "the model's weights changed")
    for name, value in before.items():
        require(after[name] == value, f"the {name} changed")


def state(model: nn.Module) -> dict[str, bytes]:
    """Every tensor's bits, by name, of the weights and of the gates beside them."""
    gates = {
        f"{path}:{part}": tensor
        for path, deltas in gated_in(model).items()
        for part, tensor in GatedDelta.total(deltas).tensors().items()
    }
    return {
        name: tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
        for name, tensor in (model.state_dict() | gates).items()
    }


def _traits(case: Case) -> dict[str, Any]:
    """All about the model but its weights, each under a name for messages."""
    modules = dict(case.model.named_modules())
    return {
        "modules": {name: id(module) for name, module in modules.items()},
        "modules' attributes": {name: sorted(vars(module).keys() - {ATTRIBUTE}) for name, module in modules.items()},
        "training modes": {name: module.training for name, module in modules.items()},
        "hooks": {
            name: [len(table) for key, table in sorted(vars(module).items()) if key.endswith("_hooks")]
            for name, module in modules.items()
        },
        "requires_grad flags": {name: p.requires_grad for name, p in case.model.named_parameters()},
        "gradients": {name: p.grad is None for name, p in case.model.named_parameters()},
        "configuration": pretrained(case.model).config.to_dict(),
        "padding": (case.tok.padding_side, case.tok.pad_token),
    }
