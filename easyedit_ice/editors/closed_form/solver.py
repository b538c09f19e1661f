"""One solver for MEMIT, EMMET and ROME.

With keys K (n, d), residuals R (n, o), and A = λ (C + σ tr(C)/d I) + ε I for the second moment C (d, d) of general
keys,

    ΔW = Rᵀ (K A⁻¹ Kᵀ + α I)⁻¹ K A⁻¹

is MEMIT (Meng et al. 2023, arXiv 2210.07229, eq. 14) for α = 1, by the identity Kᵀ(A + KᵀK)⁻¹ = (I + K A⁻¹ Kᵀ)⁻¹ K A⁻¹;
EMMET (Gupta et al. 2024, arXiv 2403.14236, eq. 13) for any α, which fits all facts exactly as α goes to 0; and ROME
(Meng et al. 2022, arXiv 2202.05262, eq. 2) for α = 0 and one fact. A is factored once; a solve takes O(d² n + n³).

Keys Kₚ of earlier edits, which shall answer as they do, are further rows of K with a residual of 0 and 1 in place of α:
that is KₚᵀKₚ added to A, as in AlphaEdit (Fang et al. 2025, arXiv 2410.02355, eq. 11).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from easyedit_ice.edit.delta import LowRankDelta
from easyedit_ice.errors import StatisticsError
from easyedit_ice.precompute.factors import Factor

_HALVINGS = 50
_CLEAR = 1e3
"""Energies that stand clear of rounding, in units of what rounding makes."""
_UNWEIGHABLE = (
    "{} keys and the second moment of general ones cannot be weighed against each other: raise emmet_lambda or "
    "mom2_update_weight, or lower kept_weight or neighbour_weight"
)
_ROWS = 1024
"""Keys that are summed up at a time, in fp64."""


def solve_update(
    factor: Factor,
    keys: Tensor,
    residuals: Tensor,
    alpha: float,
    others: Tensor | None = None,
    weight: float = 1.0,
    kept_weight: Tensor | float = 1.0,
) -> LowRankDelta:
    """ΔW of rank n or less, computed in fp64.

    Args:
        factor: of A.
        keys: K, (n, d).
        residuals: R, (n, o): what W k lacks.
        alpha: α.
        others: (m, d), keys whose outputs shall stay; the rank of ΔW is that of the others.
        weight: w, to solve with w A in place of A, which is factored once for all weights.
        kept_weight: of each row of ``others``, one number or (m,): as if it stood there so many times.

    Raises:
        StatisticsError: α is 0 and keys depend on each other, so that their values cannot all be fitted.
    """
    return written_by(readers(factor, keys, alpha, others, weight, kept_weight), residuals)


def readers(
    factor: Factor,
    keys: Tensor,
    alpha: float,
    others: Tensor | None = None,
    weight: float = 1.0,
    kept_weight: Tensor | float = 1.0,
) -> Tensor:
    """What ΔW reads for each key, (K A⁻¹ Kᵀ + α I)⁻¹ K A⁻¹: (n, d) in fp32; ΔW is linear in the residuals.

    Args:
        factor: of A.
        keys: K, (n, d).
        alpha: α.
        others: (m, d), as in :func:`solve_update`.
        weight: w, as there.
        kept_weight: as there.

    Raises:
        StatisticsError: α is 0 and keys depend on each other, or a weight is too far from the others.
    """
    width = len(factor.lower) if factor.lower.ndim == 2 else math.inf
    if others is not None and len(keys) + len(others) > width:
        factor, others, weight = _with_kept(factor, others, weight, kept_weight), None, 1.0
    if alpha > 0 and len(keys) > width:
        return _readers_of_many(factor, keys, alpha * weight)
    every = keys if others is None else torch.cat([keys, others.to(keys.device)])
    half = factor.whitened(every)
    gram = half @ half.T
    gram.diagonal()[: len(keys)].add_(alpha * weight)
    if others is not None:
        gram.diagonal()[len(keys) :].add_(weight / torch.as_tensor(kept_weight, dtype=gram.dtype, device=gram.device))
    inner, failed = torch.linalg.cholesky_ex(gram)
    if failed.item() and others is not None:
        raise StatisticsError(_UNWEIGHABLE.format(len(every)))
    if failed.item() or (alpha == 0 and others is None and _is_singular(gram, inner)):
        raise StatisticsError(
            f"the keys of these {len(keys)} facts depend on each other, so that not every value can be fitted: set "
            f"emmet_lambda above {alpha}, or write facts of the same subject one after the other"
        )
    left = torch.cholesky_solve(half, inner)[: len(keys)]
    return factor.unwhitened(left).float()


def _is_singular(gram: Tensor, inner: Tensor) -> bool:
    """Whether rounding alone has let a Gram matrix be factored: a row has nothing left of its own beside the others."""
    rounding = len(gram) * torch.finfo(gram.dtype).eps
    return bool((inner.diagonal() ** 2 <= rounding * gram.diagonal()).any())


def _with_kept(factor: Factor, others: Tensor, weight: float, kept_weight: Tensor | float) -> Factor:
    """The factor of w A + Kₚᵀ W Kₚ, which is no larger however many keys are kept."""
    return _refactored(factor, weight, others, kept_weight)


def _readers_of_many(factor: Factor, keys: Tensor, alpha: float) -> Tensor:
    """What ΔW reads for more keys than there are inputs, by an equal form without a matrix of all pairs of keys:

    (K A⁻¹ Kᵀ + α I)⁻¹ K A⁻¹ = K (Kᵀ K + α A)⁻¹
    """
    inner = _refactored(factor, alpha, keys, 1.0)
    return torch.cat([inner.unwhitened(inner.whitened(part)).float() for part in keys.split(_ROWS)])


def _refactored(factor: Factor, scale: float, keys: Tensor, weights: Tensor | float) -> Factor:
    """The factor of s A + Kᵀ W K, for A's factor and K (n, d) with a weight for each key, or one for all.

    Raises:
        StatisticsError: it is not positive definite.
    """
    matrix = scale * (factor.lower @ factor.lower.T)
    each = torch.as_tensor(weights, dtype=matrix.dtype, device=matrix.device).expand(len(keys))
    for part, weight in zip(keys.split(_ROWS), each.split(_ROWS), strict=True):
        wide = factor.narrowed(part).to(matrix)
        matrix.addmm_((wide * weight[:, None]).T, wide)
    lower, failed = torch.linalg.cholesky_ex(matrix)
    if failed.item() or not lower.isfinite().all():
        raise StatisticsError(_UNWEIGHABLE.format(len(keys)))
    return Factor(lower, factor.basis)


def written_by(readers: Tensor, residuals: Tensor) -> LowRankDelta:
    """ΔW that writes residuals (n, o) for what readers (n, d) read."""
    return smallest(readers, residuals.double().to(readers.device).T.float())


def weight_for(factor: Factor, keys: Tensor, residuals: Tensor, share: float) -> float:
    """The largest weight w of general keys with which a solve of α = 1 writes a share of the residuals.

    With w A in place of A the solve misses w (G + w I)⁻¹ R, where G = K A⁻¹ Kᵀ. For one fact, with κ = kᵀ A⁻¹ k, that
    is w / (κ + w) of it, so that w = κ (1 - share) / share. For several the norm of all that is missed counts, but for
    what no weight would write: facts that share a key, as those of one subject at a prompt's beginning do, get the mean
    of their values.

    Args:
        factor: of A.
        keys: K, (n, d).
        residuals: R, (n, o).
        share: 1 - ‖what is missed‖ / ‖R‖, above 0 and below 1.
    """
    half = factor.whitened(keys)
    wanted = residuals.double().to(half.device)
    many = len(half) > half.shape[1]
    energies, directions = torch.linalg.eigh(half.T @ half if many else half @ half.T)
    clear = energies > _CLEAR * len(keys) * torch.finfo(energies.dtype).eps * energies[-1]
    energies, directions = energies[clear], directions[:, clear]
    parts = (directions.T @ (half.T @ wanted if many else wanted)).norm(dim=1) / (energies.sqrt() if many else 1)
    # Nothing is missed less than with the weight that suits the least energy, or more than with that of the greatest.
    low, high = (math.log(energies[end].item() * (1 - share) / share) for end in (0, -1))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        weight = math.exp(middle)
        missed = (weight / (energies + weight) * parts).norm()
        low, high = (middle, high) if missed <= (1 - share) * parts.norm() else (low, middle)
    return math.exp(low)


def smallest(a: Tensor, b: Tensor) -> LowRankDelta:
    """B A with no more rank than the matrix can have."""
    if len(a) <= min(a.shape[1], len(b)):
        return LowRankDelta(a, b)
    product = (b.double() @ a.double()).float()
    if len(b) <= a.shape[1]:
        return LowRankDelta(product, torch.eye(len(b)))
    return LowRankDelta(torch.eye(a.shape[1]), product)
