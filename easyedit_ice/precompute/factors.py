"""Second moments made ready for many solves: A = λ (C + σ tr(C)/d I) + ε I, factored once.

Shapes: d is the width of a projection's input.
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
        lower: (d, d) in fp64, lower triangular, L Lᵀ = A.
    """

    lower: Tensor


def factored(moment: Tensor, *, weight: float, ridge: float, shrinkage: float = 0.0, name: str, tokens: int) -> Factor:
    """Factor λ (C + σ tr(C)/d I) + ε I.

    Args:
        moment: C, (d, d).
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
    matrix.diagonal().add_(ridge + shrinkage * matrix.diagonal().mean().item())
    lower, failed = torch.linalg.cholesky_ex(matrix)
    if failed.item() or not lower.isfinite().all():
        raise StatisticsError(
            f"the second moment of the {len(moment)} inputs of {name} cannot be inverted: it was measured on {tokens} "
            "tokens. Raise dynamic_multiplier (10 is usual), or set mom2_shrinkage or update_norm_lambda above 0"
        )
    return Factor(lower)


def identity_factor(width: int, scale: float) -> Factor:
    """The factor of a multiple of the identity, for keys of which nothing is known."""
    return Factor(torch.eye(width, dtype=torch.float64) * scale**0.5)
