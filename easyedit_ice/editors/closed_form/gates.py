"""Gates: where a projection reads one fact's key, told from everywhere else.

For a fact's key k, and A the second moment of what the projection reads,

    q = A⁻¹ k / (kᵀ A⁻¹ k)

is the vector that gives 1 at k and least in the mean square elsewhere: the reader of ROME's update (Meng et al. 2022,
arXiv 2202.05262, eq. 2). There it scales what is written wherever anything is read; here it opens a gate.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from easyedit_ice.edit.delta import GatedDelta, read_of
from easyedit_ice.editors.closed_form.layer_writes import mean_key
from easyedit_ice.precompute.factors import Factor


def readers_of(factor: Factor, keys: Tensor) -> Tensor:
    """q of each key, (n, d) in fp32.

    Args:
        factor: of A.
        keys: (n, d).
    """
    half = factor.whitened(keys)
    return (factor.unwhitened(half) / half.square().sum(1, keepdim=True)).float()


def gated(factor: Factor, states: Sequence[Tensor], values: Tensor, closed: float, opened: float) -> GatedDelta:
    """Values with a gate each.

    Args:
        factor: of A.
        states: for each of n facts what the projection reads at its subject, alone and after contexts, (c, d). Where
            one of them has less of the fact's key than ``opened``, the gate opens that much earlier.
        values: (n, o).
        closed: how much of a key is read where its gate begins to open; 1 is all of it.
        opened: how much from where on it is open.
    """
    keys = torch.stack([mean_key(own) for own in states])
    readers, lengths = readers_of(factor, keys), keys.norm(dim=1)
    every = zip(states, readers.split(1), lengths.split(1), strict=True)
    least = torch.stack([read_of(own, reader, length).min() for own, reader, length in every])
    ends = least.clamp(max=opened)
    return GatedDelta(readers, lengths, values, ends - (opened - closed), ends)
