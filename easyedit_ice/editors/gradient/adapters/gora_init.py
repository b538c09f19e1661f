"""Ranks and start of published GoRA (He et al. 2025, arXiv 2502.12171), from the gradient of the weights.

It is another method than the gradient-orthogonal one of the same name in this package, which may use both.

Shapes: out and in are the widths of a projection, r its rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from easyedit_ice.model.anatomy import Projection

if TYPE_CHECKING:
    from easyedit_ice.editors.gradient.adapters.lora import LowRankAdapter


def allocated_ranks(
    projections: Sequence[Projection], gradients: Mapping[str, Tensor], *, rank: int, least: int, most: int
) -> dict[str, int]:
    """Ranks by importance (section 3.2): r_i = b · a_i / √(out_i + in_i), within bounds.

    a_i is the projection's share of all importances mean |W ⊙ G|, and b = Σ √(out_i + in_i) · rank.

    Args:
        projections: of the model.
        gradients: G (out, in) of each, by name.
        rank: what each would have if all had the same.
        least: lower bound.
        most: upper bound.
    """
    importance = {
        projection.name: (projection.matrix() * gradients[projection.name]).abs().mean().item()
        for projection in projections
    }
    size = {projection.name: (projection.out_features + projection.in_features) ** 0.5 for projection in projections}
    budget = rank * sum(size.values())
    total = sum(importance.values()) or 1.0
    return {name: min(max(round(budget * importance[name] / total / size[name]), least), most) for name in importance}


@torch.no_grad()
def start_down_the_gradient(adapter: LowRankAdapter, gradients: Mapping[str, Tensor], gain: float) -> None:
    """Begin at ΔW = −γ √(in / r) · G Aᵀ (A Aᵀ)⁺ A (section 3.3): a step down the gradient as far as A's rows span it.

    The sign is the paper's; the authors' code has had the opposite one since August 2025.

    Args:
        adapter: freshly made; its A stays.
        gradients: G (out, in) of each projection, by name.
        gain: γ.
    """
    for name, reader in adapter.readers().items():
        a = reader.detach()
        step = gradients[name] @ torch.linalg.pinv(a)
        adapter.start(name, a, -gain * (a.shape[1] / a.shape[0]) ** 0.5 * step)
