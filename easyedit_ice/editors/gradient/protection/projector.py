"""Directions that an adapter must not read: gradient-orthogonal training.

An adapter adds B A x to what an input x gives. Where A q = 0, inputs along q are answered as before, whatever B is.
Projecting the gradient of A alone does not keep A q at zero, since Adam scales its elements apart; so what each
optimiser step adds to A is projected as well.

Shapes: in is the width of a projection's input, k the number of directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from easyedit_ice.editors.gradient.adapters import Adapter


class Protection:
    """Keeps the readers of an adapter off what is protected.

    Args:
        adapter: what its readers hold at the start is taken as it is.
        factors: for each of its projections F (in, k): what is kept of a row a is a (I − F Fᵀ).
    """

    def __init__(self, adapter: Adapter, factors: Mapping[str, Tensor]) -> None:
        self._pairs = [(reader, factors[name]) for name, reader in adapter.readers().items()]
        self._before: list[Tensor] = []

    @torch.no_grad()
    def before_step(self) -> None:
        """Take the protected part out of the gradients."""
        for reader, factor in self._pairs:
            reader.grad = outside(cast("Tensor", reader.grad), factor)
        self._before = [reader.clone() for reader, _ in self._pairs]

    @torch.no_grad()
    def after_step(self) -> None:
        """Take the protected part out of what the step has added."""
        for (reader, factor), before in zip(self._pairs, self._before, strict=True):
            reader.copy_(before + outside(reader - before, factor))


def outside(rows: Tensor, factor: Tensor) -> Tensor:
    """What is left of (…, in) rows: rows (I − F Fᵀ)."""
    return rows - (rows @ factor) @ factor.T


def share_kept(gradient: Tensor, factor: Tensor) -> float:
    """ρ = ‖G (I − F Fᵀ)‖ / ‖G‖ of a gradient (out, in): how much of it may be followed."""
    share = outside(gradient, factor).norm() / gradient.norm().clamp(min=torch.finfo(gradient.dtype).tiny)
    return float(share.item())


def giving_way(factor: Tensor, share: float, least: float) -> Tensor:
    """F weakened so far that ``least`` of the gradient is kept, where only ``share`` of it was.

    With F = Q, orthonormal, and strength t in its place, ‖G (I − t Q Qᵀ)‖² / ‖G‖² = ρ² + (1 − t)² (1 − ρ²).
    """
    if share >= least:
        return factor
    strength = 1 - ((least**2 - share**2) / (1 - share**2)) ** 0.5
    weaker: Tensor = factor * strength**0.5
    return weaker
