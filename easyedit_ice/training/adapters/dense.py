"""A change of whole weights, as fine-tuning makes: y = W x + D x, where D = 0 at the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from easyedit_ice.anatomy import Projection
from easyedit_ice.deltas import DenseDelta
from easyedit_ice.training.adapters.base import Adapter


class DenseAdapter(Adapter):
    """D beside each projection, in fp32 whatever the weight's type is: small steps are not rounded away.

    Args:
        model: gets hooks on the projections.
        projections: where; all of this model.
    """

    def __init__(self, model: nn.Module, projections: Sequence[Projection]) -> None:
        super().__init__(model, projections)
        self._changes = {
            projection.name: nn.Parameter(
                torch.zeros(projection.out_features, projection.in_features, device=projection.module.weight.device)
            )
            for projection in projections
        }
        self._on = True
        for projection in projections:
            projection.module.register_forward_hook(self._hook(projection.name))

    def trained(self) -> dict[str, list[Tensor]]:
        """D (out, in) of each projection."""
        return {name: [change] for name, change in self._changes.items()}

    def readers(self) -> dict[str, Tensor]:
        """D of each projection."""
        return dict(self._changes)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The model without the adapter."""
        self._on = False
        try:
            yield
        finally:
            self._on = True

    def deltas(self) -> dict[str, DenseDelta]:
        """D of each projection, as copies."""
        return {name: DenseDelta(change.detach().clone()) for name, change in self._changes.items()}

    @torch.no_grad()
    def shrink(self, name: str, factor: float) -> None:
        """Multiply D."""
        self._changes[name].mul_(factor)

    def _hook(self, name: str) -> Any:
        def add(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if not self._on:
                return output
            return output + linear(args[0].float(), self._changes[name]).to(output.dtype)

        return add
