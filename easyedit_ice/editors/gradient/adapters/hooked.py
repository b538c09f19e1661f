"""Changes that are computed beside each projection: y = W x + ΔW x, in fp32, by a forward hook."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from easyedit_ice.editors.gradient.adapters.adapter import Adapter
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.model.side_branch import SideBranch


class BesideAdapter(Adapter):
    """Hooks that add what :meth:`change` says.

    Args:
        model: gets hooks on the projections.
        projections: where; all of this model.
    """

    def __init__(self, model: nn.Module, projections: Sequence[Projection]) -> None:
        super().__init__(model, projections)
        self._on = True
        for projection in projections:
            SideBranch(self._change(projection.name)).attach(projection.module)

    @abstractmethod
    def change(self, name: str, inputs: Tensor) -> Tensor:
        """ΔW x of a projection, for inputs (..., in) in fp32: (..., out)."""

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The model without the adapter."""
        self._on = False
        try:
            yield
        finally:
            self._on = True

    def _change(self, name: str) -> Callable[[Tensor], Tensor | None]:
        return lambda inputs: self.change(name, inputs.float()) if self._on else None
