"""A change of whole weights, as fine-tuning makes: y = W x + D x, where D = 0 at the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.editors.gradient.adapters.adapter import BoundSettings
from easyedit_ice.editors.gradient.adapters.hooked import BesideAdapter
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.model.pretrained import weight_of


class DenseAdapter(BesideAdapter):
    """D beside each projection, in fp32 whatever the weight's type is: small steps are not rounded away.

    Args:
        model: gets hooks on the projections.
        projections: where; all of this model.
    """

    def __init__(self, model: nn.Module, projections: Sequence[Projection]) -> None:
        super().__init__(model, projections)
        self._changes = {
            projection.name: nn.Parameter(
                torch.zeros(projection.out_features, projection.in_features, device=weight_of(projection.module).device)
            )
            for projection in projections
        }

    def trained(self) -> dict[str, list[Tensor]]:
        """D (out, in) of each projection."""
        return {name: [change] for name, change in self._changes.items()}

    def readers(self) -> dict[str, Tensor]:
        """D of each projection."""
        return dict(self._changes)

    def writers(self) -> dict[str, Tensor]:
        """D of each projection."""
        return dict(self._changes)

    def change(self, name: str, inputs: Tensor) -> Tensor:
        """D x."""
        return linear(inputs, self._changes[name])

    def deltas(self) -> dict[str, DenseDelta]:
        """D of each projection, as copies."""
        return {name: DenseDelta(change.detach().clone()) for name, change in self._changes.items()}

    @torch.no_grad()
    def shrink(self, name: str, factor: float) -> None:
        """Multiply D."""
        self._changes[name].mul_(factor)


@dataclass
class DenseSettings(BoundSettings):
    """Of a change of whole weights; there is nothing to choose."""

    kind = DenseAdapter

    def build_adapter(
        self, model: nn.Module, projections: Sequence[Projection], *, steps: int, gradients: Mapping[str, Tensor]
    ) -> DenseAdapter:
        """D beside each projection."""
        return DenseAdapter(model, projections)

    def trained_values(self, projection: Projection, steps: int) -> int:
        """in · out."""
        return projection.size
