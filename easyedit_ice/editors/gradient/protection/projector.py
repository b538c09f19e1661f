"""Directions that an adapter must not read or write: gradient-orthogonal training.

An adapter adds B A x to what an input x gives. Where A q = 0, inputs along q are answered as before, whatever B is.
Projecting the gradient of A alone does not keep A q at zero, since Adam scales its elements apart; so what each
optimiser step adds to A is projected as well. Of B only what a step adds is turned, and keeps its length.

Shapes: in and out are the widths of a projection, k the number of directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from easyedit_ice.editors.gradient.adapters import Adapter


class Protection:
    """Keeps the readers and writers of an adapter off what is protected.

    Args:
        adapter: what it holds at the start is taken as it is.
        factors: for each of its projections F (in, k): what is kept of a row a is a (I − F Fᵀ).
        unwritten: for each of them F (out, k), the same for what a step adds to a column; none to leave those alone.
    """

    def __init__(
        self, adapter: Adapter, factors: Mapping[str, Tensor], unwritten: Mapping[str, Tensor] | None = None
    ) -> None:
        self._pairs = [(reader, factors[name]) for name, reader in adapter.readers().items()]
        outward = unwritten or {}
        self._turned = [(writer, outward[name]) for name, writer in adapter.writers().items()] if outward else []
        self._before: list[Tensor] = []
        self._wrote: list[Tensor] = []

    @torch.no_grad()
    def before_step(self) -> None:
        """Take the protected part out of the gradients."""
        for reader, factor in self._pairs:
            reader.grad = outside(cast("Tensor", reader.grad), factor)
        self._before = [reader.clone() for reader, _ in self._pairs]
        self._wrote = [writer.clone() for writer, _ in self._turned]

    @torch.no_grad()
    def after_step(self) -> None:
        """Take the protected part out of what the step has added."""
        for (reader, factor), before in zip(self._pairs, self._before, strict=True):
            reader.copy_(before + outside(reader - before, factor))
        for (writer, factor), before in zip(self._turned, self._wrote, strict=True):
            writer.copy_(before + _turned(writer - before, factor))


def softened(moment: Tensor, softness: float, most: int) -> Tensor:
    """F (d, k) of P = (I + M / α)⁻¹, for a second moment M (d, d) in units of the mean of its diagonal.

    Args:
        moment: M, in any unit.
        softness: α.
        most: of the leading directions, k.
    """
    energies, directions = _spectrum(moment)
    relative = energies[:most] / energies.mean()
    factor: Tensor = (directions[:, :most] * (relative / (relative + softness)).sqrt()).float()
    return factor


def leading(moment: Tensor, energy: float, most: int) -> Tensor:
    """F (d, k) of the projection off the leading directions of a second moment (d, d), up to a share of its energy."""
    energies, directions = _spectrum(moment)
    needed = int((energies.cumsum(0) / energies.sum() < energy).sum()) + 1
    factor: Tensor = directions[:, : min(needed, most)].float()
    return factor


def _spectrum(moment: Tensor) -> tuple[Tensor, Tensor]:
    """Energies, the greatest first, and their directions as columns."""
    energies, directions = torch.linalg.eigh(moment.double())
    return energies.clamp(min=0).flip(0), directions.flip(1)


def _turned(step: Tensor, factor: Tensor) -> Tensor:
    """(I − F Fᵀ) of a step (out, …), as long as the step; nothing where nothing is left."""
    left = outside(step.T, factor).T
    turned: Tensor = left * (step.norm() / left.norm().clamp(min=torch.finfo(left.dtype).tiny))
    return turned


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
