"""Deltas that stand beside a module: those of packed weights, and those that no weight can hold."""

from __future__ import annotations

from torch import Tensor, nn

from easyedit_ice.edit.delta import Delta
from easyedit_ice.edit.gated_delta import GatedDelta
from easyedit_ice.model.side_branch import SideBranch


class GatedBranch(SideBranch):
    """All gated deltas of one module, computed as one, however many edits they come from.

    It is never changed: an edit more or less is another branch. So copies of a model can share it.

    Attributes:
        deltas: the earliest first.
    """

    def __init__(self, *deltas: GatedDelta) -> None:
        super().__init__(self._written)
        self.deltas = deltas
        self._total: GatedDelta | None = None

    def _written(self, inputs: Tensor) -> Tensor:
        if self._total is None or self._total.values.device != inputs.device:
            self._total = GatedDelta.total(self.deltas).to(inputs.device)
        return self._total.apply(inputs)


class DeltaBranch(SideBranch):
    """A delta beside a packed weight."""

    def __init__(self, delta: Delta) -> None:
        super().__init__(delta.apply)
        self.delta = delta


def put_beside(module: nn.Module, delta: Delta) -> None:
    """Have a module return what a delta adds to it as well."""
    if isinstance(delta, GatedDelta):
        _become(module, (*gated_beside(module), delta))
    else:
        DeltaBranch(delta).attach(module)


def take_away(module: nn.Module, delta: Delta) -> None:
    """Undo :func:`put_beside` for a delta, if it is there."""
    if isinstance(delta, GatedDelta):
        _become(module, tuple(other for other in gated_beside(module) if other is not delta))
    for hook in list(module._forward_hooks.values()):
        if isinstance(hook, DeltaBranch) and hook.delta is delta:
            hook.detach(module)


def gated_beside(module: nn.Module) -> tuple[GatedDelta, ...]:
    """The gated deltas of a module, the earliest first."""
    return next((hook.deltas for hook in module._forward_hooks.values() if isinstance(hook, GatedBranch)), ())


def gated_in(model: nn.Module) -> dict[str, tuple[GatedDelta, ...]]:
    """Those of all modules that have any, by path."""
    return {path: deltas for path, module in model.named_modules() if (deltas := gated_beside(module))}


def _become(module: nn.Module, deltas: tuple[GatedDelta, ...]) -> None:
    for hook in list(module._forward_hooks.values()):
        if isinstance(hook, GatedBranch):
            hook.detach(module)
    if deltas:
        GatedBranch(*deltas).attach(module)
