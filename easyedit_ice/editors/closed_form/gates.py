"""Gates: where a projection reads one fact's key, told from everywhere else.

For a fact's key k, and A the second moment of what the projection reads,

    q = A⁻¹ k / (kᵀ A⁻¹ k)

is the vector that gives 1 at k and least in the mean square elsewhere: the reader of ROME's update (Meng et al. 2022,
arXiv 2202.05262, eq. 2). There it scales what is written wherever anything is read; here it opens a gate. Where other
keys would open it (of "Microsoft Office XP" that of "Windows XP"), q is the like vector that gives least at these
too: A with their moments added, as far as q does not blunt for all else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from easyedit_ice.edit.gated_delta import ANY_LENGTH, GatedDelta, read_of
from easyedit_ice.editors.closed_form.layer_writes import mean_key
from easyedit_ice.precompute.factors import Factor

_BLUNTER = 4.0
"""How much more of general text, in the mean square, a reader may read to tell its key from others."""
_RIDGES = tuple(10.0**power for power in range(-3, 4))
"""On rivals' keys, in units of each one's own energy: from counting nearly wholly to hardly at all."""


@dataclass(frozen=True)
class Gates:
    """How gates are made.

    Attributes:
        factor: of A.
        closed: how much of a key is read where its gate begins to open; 1 is all of it.
        opened: how much from where on it is open.
        bounded: whether a long input counts for no more than its direction says. What a norm has just made is of one
            length, or nearly; other inputs are not.
    """

    factor: Factor
    closed: float
    opened: float
    bounded: bool

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
        lengths = keys.norm(dim=1) if self.bounded else torch.full((len(keys),), ANY_LENGTH)
        width, every = self.opened - self.closed, torch.cat([keys, others])
        elsewhere = [every[(every != key).any(1)] for key in keys]
        told = zip(keys, lengths, elsewhere, strict=True)
        readers = torch.stack([self._reader(key, length, rest) for key, length, rest in told])
        reads = zip(states, readers.split(1), lengths.split(1), strict=True)
        least = torch.stack([read_of(own, reader, length).min() for own, reader, length in reads])
        ends = least.clamp(self.closed / 2 + width, self.opened)
        return GatedDelta(readers, lengths, values, ends - width, ends)

    def _reader(self, key: Tensor, length: Tensor, others: Tensor) -> Tensor:
        """q of a key (d,), told from other keys (m, d) as far as that does not blunt it, in fp32."""
        half: Tensor = self.factor.whitened(key[None])[0]
        plain = self.factor.unwhitened(half[None])[0] / half.square().sum()
        read = read_of(others, plain[None].float(), length[None])[:, 0]
        rivals = self.factor.whitened(others[read >= self.closed / 2])
        if not len(rivals):
            return plain.float()
        products, crossed = rivals @ rivals.T, rivals @ half
        eye = torch.eye(len(rivals)).to(products) * products.diagonal()
        whitened = half
        for ridge in _RIDGES:
            whitened = half - torch.linalg.solve(products + ridge * eye, crossed) @ rivals
            whitened = whitened / (whitened @ half)
            if whitened.square().sum() * half.square().sum() <= _BLUNTER:
                break
        return self.factor.unwhitened(whitened[None])[0].float()
