"""W = U diag(s) Vᵀ.

Shapes: out and in are the widths of the weight, r the number of singular values, min(out, in) for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from easyedit_ice.errors import SpectrumError

METHODS = ("exact", "randomised")
_SPARE = 16
_PASSES = 4
_SEED = 0


@dataclass(frozen=True)
class Spectrum:
    """The decomposition of a weight, the greatest singular values first.

    Attributes:
        left: U (out, r) in fp32, columns orthonormal.
        values: s (r,), not negative.
        right: V (in, r), columns orthonormal.
        error: ‖W − U diag(s) Vᵀ‖ / ‖W‖, in the Frobenius norm.
    """

    left: Tensor
    values: Tensor
    right: Tensor
    error: float

    @property
    def rank(self) -> int:
        """r."""
        return len(self.values)


@torch.no_grad()
def decompose(weight: Tensor, method: str = "exact", rank: int | None = None) -> Spectrum:
    """Decompose a weight, in fp32 on its own device.

    Args:
        weight: W (out, in).
        method: ``"exact"``, or ``"randomised"`` (Halko et al. 2011, arXiv 0909.4061, algorithm 4.4, four passes), which
            finds the greatest singular values in less time; what it draws depends on nothing but the shape.
        rank: how many of the greatest singular values; ``None`` for all.

    Raises:
        SpectrumError: the weight has infinite elements, or ones that are not numbers.
    """
    weight = weight.detach().float()
    if not weight.isfinite().all():
        raise SpectrumError(f"the {tuple(weight.shape)} weight has elements that are infinite or not numbers")
    most = min(weight.shape) if rank is None else min(rank, *weight.shape)
    if method == "randomised":
        left, values, right = _randomised(weight, min(most + _SPARE, *weight.shape))
    else:
        left, values, transposed = torch.linalg.svd(weight, full_matrices=False)
        right = transposed.T
    left, right = _signed(left[:, :most], right[:, :most])
    values = values[:most].contiguous()
    lost = torch.linalg.norm(weight - (left * values) @ right.T) / weight.norm().clamp(min=torch.finfo().tiny)
    return Spectrum(left, values, right, lost.item())


def _signed(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Each pair of directions with the sign by which the largest element of U's is positive.

    Signs are left open by the decomposition; elements of a change beside the diagonal depend on them.
    """
    signs = left.gather(0, left.abs().argmax(0, keepdim=True)).sign()
    return (left * signs).contiguous(), (right * signs).contiguous()


def _randomised(weight: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """As ``torch.svd_lowrank``, which draws from the process's generator."""
    tall = weight if len(weight) >= weight.shape[1] else weight.T
    generator = torch.Generator(weight.device).manual_seed(_SEED)
    drawn = torch.randn(tall.shape[1], rank, device=weight.device, generator=generator)
    basis = torch.linalg.qr(tall @ drawn).Q
    for _ in range(_PASSES):
        basis = torch.linalg.qr(tall.T @ basis).Q
        basis = torch.linalg.qr(tall @ basis).Q
    left, values, transposed = torch.linalg.svd(basis.T @ tall, full_matrices=False)
    left, right = basis @ left, transposed.T
    return (left, values, right) if tall is weight else (right, values, left)
