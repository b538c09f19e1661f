"""Gates: where a projection reads one fact's key, told from everywhere else.

For a fact's key k, and A the second moment of what the projection reads,

    q = A⁻¹ k / (kᵀ A⁻¹ k)

is the vector that gives 1 at k and least in the mean square elsewhere: the reader of ROME's update (Meng et al. 2022,
arXiv 2202.05262, eq. 2). There it scales what is written wherever anything is read; here it opens a gate. Where other
facts' keys would half open it ("Microsoft Office XP" that of "Windows XP"), q is the like vector that gives 0 at these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from easyedit_ice.edit.delta import GatedDelta, read_of
from easyedit_ice.editors.closed_form.layer_writes import mean_key
from easyedit_ice.precompute.factors import Factor

_RIDGE = 1e-3
"""On the products of rivals' keys, in units of each one's own, for those that are alike."""


@dataclass(frozen=True)
class Gates:
    """How gates are made.

    Attributes:
        factor: of A.
        closed: how much of a key is read where its gate begins to open; 1 is all of it.
        opened: how much from where on it is open.
    """

    factor: Factor
    closed: float
    opened: float

    def of(self, states: Sequence[Tensor], values: Tensor, others: Tensor) -> GatedDelta:
        """Values with a gate each.

        Args:
            states: for each of n facts what the projection reads at its subject, alone and after contexts, (c, d).
                Where one of them has less of the fact's key than ``opened``, the gate opens that much earlier.
            values: (n, o).
            others: keys of other facts, (m, d), that are to open none of the gates.
        """
        keys = torch.stack([mean_key(own) for own in states])
        readers, lengths = self.readers(keys, others), keys.norm(dim=1)
        every = zip(states, readers.split(1), lengths.split(1), strict=True)
        least = torch.stack([read_of(own, reader, length).min() for own, reader, length in every])
        ends = least.clamp(max=self.opened)
        return GatedDelta(readers, lengths, values, ends - (self.opened - self.closed), ends)

    def readers(self, keys: Tensor, others: Tensor) -> Tensor:
        """q of each key, (n, d) in fp32.

        Args:
            keys: (n, d).
            others: (m, d); those that a gate takes for its own count for nothing, as they are the same subject's.
        """
        half = self.factor.whitened(keys)
        plain = (self.factor.unwhitened(half) / half.square().sum(1, keepdim=True)).float()
        every, lengths = torch.cat([keys, others]), keys.norm(dim=1)
        read = read_of(every, plain, lengths).T
        rivals = (read >= self.closed / 2) & (read < self.opened)
        return torch.stack(
            [
                self._apart(key, every[rival]) if rival.any() else reader
                for key, reader, rival in zip(keys, plain, rivals, strict=True)
            ]
        )

    def _apart(self, key: Tensor, rivals: Tensor) -> Tensor:
        """The vector that gives 1 at a key, nothing at others, and least in the mean square elsewhere: (d,)."""
        half = self.factor.whitened(torch.cat([key[None], rivals]))
        products = half @ half.T
        products.diagonal()[1:].mul_(1 + _RIDGE)
        shares = torch.linalg.solve(products, torch.eye(len(half))[0].to(products))
        (reader,) = self.factor.unwhitened((shares @ half)[None])
        scaled: Tensor = reader / (reader @ key.to(reader))
        return scaled.float()
