"""Gates: where a projection reads one fact's key, told from everywhere else.

For a fact's key k, and A the second moment of what the projection reads,

    q = A⁻¹ k / (kᵀ A⁻¹ k)

is the vector that gives 1 at k and least in the mean square elsewhere: the reader of ROME's update (Meng et al. 2022,
arXiv 2202.05262, eq. 2). There it scales what is written wherever anything is read; here it opens a gate. Where other
facts' keys would open it ("Microsoft Office XP" that of "Windows XP"), q is the like vector that gives 0 at these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from easyedit_ice.edit.delta import GatedDelta, read_of
from easyedit_ice.editors.closed_form.layer_writes import mean_key
from easyedit_ice.precompute.factors import Factor

_BLUNTER = 4.0
"""How much more of general text, in the mean square, a reader may read to tell its key from others."""
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
                Where one of them has less of the fact's key than ``opened``, the gate opens that much earlier, but not
                before half of ``closed``.
            values: (n, o).
            others: keys of other facts, (m, d), that are to open none of the gates.
        """
        keys = torch.stack([mean_key(own) for own in states])
        lengths, width = keys.norm(dim=1), self.opened - self.closed
        readers = self._readers(keys, torch.cat([keys, others]))
        least = [self._least(*each) for each in zip(states, readers, lengths, strict=True)]
        ends = torch.stack(least).clamp(self.closed / 2 + width, self.opened)
        return GatedDelta(readers, lengths, values, ends - width, ends)

    def _readers(self, keys: Tensor, every: Tensor) -> Tensor:
        """q of each key, (n, d) in fp32.

        Args:
            keys: (n, d).
            every: keys that are to read 0 but each fact's own, (m, d), where they can be told from it.
        """
        half = self.factor.whitened(keys)
        plain = (self.factor.unwhitened(half) / half.square().sum(1, keepdim=True)).float()
        rivals = (self.closed / 2 <= read_of(every, plain, keys.norm(dim=1)).T) & (every[None] != keys[:, None]).any(2)
        return torch.stack(
            [
                self._apart(key, every[rival], reader) if rival.any() else reader
                for key, rival, reader in zip(keys, rivals, plain, strict=True)
            ]
        )

    def _apart(self, key: Tensor, rivals: Tensor, plain: Tensor) -> Tensor:
        """The vector that gives 1 at a key, nothing at others, and least in the mean square elsewhere: (d,).

        Where that is too much elsewhere, the rivals are of the same subject, and ``plain`` has to do.
        """
        half = self.factor.whitened(torch.cat([key[None], rivals]))
        products = half @ half.T
        products.diagonal()[1:].mul_(1 + _RIDGE)
        shares = torch.linalg.solve(products, torch.eye(len(half))[0].to(products))
        whitened = shares @ half
        whitened = whitened / (whitened @ half[0])
        if not whitened.square().sum() * half[0].square().sum() <= _BLUNTER:
            return plain
        return self.factor.unwhitened(whitened[None])[0].float()

    def _least(self, own: Tensor, reader: Tensor, length: Tensor) -> Tensor:
        """The least that is read of a fact's key in its own texts."""
        return read_of(own, reader[None], length[None]).min()
