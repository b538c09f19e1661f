"""Directions that an adapter must not read: gradient-orthogonal training.

An adapter adds B A x to what an input x gives. Where A q = 0, inputs along q are answered as before, whatever B is.
Projecting the gradient of A alone does not keep A q at zero, since Adam scales its elements apart; so what each
optimiser step adds to A is projected as well.

Shapes: in is the width of a projection's input, k the number of directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from easyedit_ice.training.adapters import Adapter


@dataclass(frozen=True)
class Subspace:
    """Directions, and how strongly each is protected.

    Attributes:
        basis: Q (in, k), orthonormal columns, in fp32.
        strengths: (k,), 1 for a direction that must not be read at all, 0 for one that is free.
    """

    basis: Tensor
    strengths: Tensor

    def part(self, rows: Tensor) -> Tensor:
        """What of (…, in) rows is protected: rows · Q diag(strengths) Qᵀ."""
        return (rows @ self.basis * self.strengths) @ self.basis.T


class Protection:
    """Keeps the readers of an adapter off subspaces of their inputs.

    Args:
        adapter: freshly made; what its readers hold is projected at once.
        subspaces: for each of its projections.
    """

    def __init__(self, adapter: Adapter, subspaces: Mapping[str, Subspace]) -> None:
        self._pairs = [(reader, subspaces[name]) for name, reader in adapter.readers().items()]
        self._before: list[Tensor] = []
        with torch.no_grad():
            for reader, subspace in self._pairs:
                reader -= subspace.part(reader)

    @torch.no_grad()
    def before_step(self) -> None:
        """Take the protected part out of the gradients."""
        for reader, subspace in self._pairs:
            reader.grad -= subspace.part(reader.grad)
        self._before = [reader.clone() for reader, _ in self._pairs]

    @torch.no_grad()
    def after_step(self) -> None:
        """Take the protected part out of what the step has added."""
        for (reader, subspace), before in zip(self._pairs, self._before, strict=True):
            reader -= subspace.part(reader - before)
