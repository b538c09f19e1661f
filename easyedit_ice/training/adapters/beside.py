"""Changes that are computed beside each projection: y = W x + ΔW x, in fp32, by a forward hook."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from easyedit_ice.anatomy import Projection
from easyedit_ice.training.adapters.base import Adapter


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
            projection.module.register_forward_hook(self._hook(projection.name))

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

    def _hook(self, name: str) -> Any:
        def add(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if not self._on:
                return output
            return output + self.change(name, args[0].float()).to(output.dtype)

        return add
