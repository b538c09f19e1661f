"""Second moments made ready for many solves: A = λ (C + σ tr(C)/d I) + ε I, factored once.

Of fused experts each has a second moment of its own: what two of them read of one token is taken to be unrelated.

Shapes: d is the width of a projection's input, or of one of its e experts'.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from easyedit_ice.errors import StatisticsError


@dataclass(frozen=True)
class Factor:
    """The Cholesky factor of A.

    Attributes:
        lower: (d, d) in fp64, lower triangular, L Lᵀ = A; or (e, d, d).
        basis: B (in, d), orthonormal columns that span all that may be read, where that is less than everything:
            A is of what keys are in this basis, and everything else costs without limit; ``None`` for no such bound.
    """

    lower: Tensor
    basis: Tensor | None = None

    def whitened(self, keys: Tensor) -> Tensor:
        """K L⁻ᵀ for keys K, (n, d) or (n, e d), in fp64; with a basis K B L⁻ᵀ."""
        return self._solved(self.narrowed(keys), self.lower.mT, upper=True)

    def unwhitened(self, left: Tensor) -> Tensor:
        """X L⁻¹ for X, (n, d) or (n, e d), in fp64; with a basis X L⁻¹ Bᵀ."""
        solution = self._solved(left, self.lower, upper=False)
        return solution if self.basis is None else solution @ self.basis.T

    def narrowed(self, keys: Tensor) -> Tensor:
        """Keys in the basis, in fp64: K B."""
        return keys if self.basis is None else keys.to(self.basis) @ self.basis

    def within(self, basis: Tensor) -> Factor:
        """The factor of Bᵀ A B, for an A of all directions: A⁻¹ becomes B (Bᵀ A B)⁻¹ Bᵀ."""
        half = basis.to(self.lower).T @ self.lower
        return Factor(torch.linalg.cholesky(half @ half.T), basis.to(self.lower))

    def _solved(self, rows: Tensor, triangle: Tensor, *, upper: bool) -> Tensor:
        """X T⁻¹ for rows X and a triangular T, expert by expert."""
        rows = rows.double().to(triangle.device)
        if triangle.ndim == 2:
            whole: Tensor = torch.linalg.solve_triangular(triangle, rows, upper=upper, left=False)
            return whole
        parts = rows.unflatten(1, (len(triangle), -1)).transpose(0, 1)
        solved: Tensor = (
            torch.linalg.solve_triangular(triangle, parts, upper=upper, left=False).transpose(0, 1).flatten(1)
        )
        return solved


def factored(moment: Tensor, *, weight: float, ridge: float, shrinkage: float = 0.0, name: str, tokens: int) -> Factor:
    """Factor λ (C + σ tr(C)/d I) + ε I.

    Args:
        moment: C, (d, d) or (e, d, d).
        weight: λ.
        ridge: ε.
        shrinkage: σ, a ridge in units of the mean second moment of an input. Few tokens leave directions that general
            keys have, but were not seen, to the edit alone; shrinkage protects them (Ledoit and Wolf 2004).
        name: of the projection, for the message.
        tokens: on how many C was measured, for the message.

    Raises:
        StatisticsError: it is not positive definite, as with fewer tokens than d and no ridge.
    """
    matrix = weight * moment.double()
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    diagonal.add_(ridge + shrinkage * diagonal.mean().item())
    lower, failed = torch.linalg.cholesky_ex(matrix)
    if failed.any() or not lower.isfinite().all():
        raise StatisticsError(
            f"the second moment of the {moment.shape[-1]} inputs of {name} cannot be inverted: it was measured on "
            f"{tokens} tokens. Raise dynamic_multiplier (10 is usual), or set mom2_shrinkage or update_norm_lambda "
            "above 0"
        )
    return Factor(lower)


def identity_factor(width: int, scale: float, experts: int = 1) -> Factor:
    """The factor of a multiple of the identity, for keys of which nothing is known.

    Args:
        width: of the keys.
        scale: the multiple.
        experts: that share the width.
    """
    lower = torch.eye(width // experts, dtype=torch.float64) * scale**0.5
    return Factor(lower if experts == 1 else lower.expand(experts, -1, -1))
