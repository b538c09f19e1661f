"""Gates: where a projection reads one fact's key, told from everywhere else.

For a fact's key k, and A the second moment of what the projection reads,

    q = A⁻¹ k / (kᵀ A⁻¹ k)

is the vector that gives 1 at k and least in the mean square elsewhere: the reader of ROME's update (Meng et al. 2022,
arXiv 2202.05262, eq. 2). There it scales what is written wherever anything is read; here it opens a gate. Where other
keys would open it (of "Microsoft Office XP" that of "Windows XP"), q is the like vector that gives least at these
too: A with their moments added, as far as q does not blunt for all else. What of plain text still reads much of a key
is left shut out: the gate opens above that.
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
_ABOVE, _LATEST, _STEEPEST = 0.05, 0.95, 0.05
"""How far above what plain text reads a gate begins to open; the latest that it does; and the least it takes for it."""
_EARLIER = 0.1
"""How much earlier than others a gate may open that one of the fact's own contexts would leave shut."""
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

    def of(self, states: Sequence[Tensor], values: Tensor, others: Tensor, plain: Sequence[Tensor]) -> GatedDelta:
        """Values with a gate each.

        Args:
            states: for each of n facts what the projection reads at its subject, alone and after contexts, (c, d).
                Where one of them has less of the fact's key than ``opened``, the gate opens that much earlier, but by
                no more than a tenth of the key.
            values: (n, o).
            others: keys of other facts, (m, d), that are to open none of the gates.
            plain: for each fact what the projection reads in text that is not about it, (p, d). Where one of these has
                as much of the key as would begin to open the gate, even told from it, that begins above it.
        """
        keys = torch.stack([mean_key(own) for own in states])
        lengths = keys.norm(dim=1) if self.bounded else keys.new_full((len(keys),), ANY_LENGTH)
        width, every = self.opened - self.closed, torch.cat([keys, others])
        elsewhere = [torch.cat([every[(every != key).any(1)], text]) for key, text in zip(keys, plain, strict=True)]
        told = zip(keys, lengths, elsewhere, strict=True)
        readers = torch.stack([self._reader(key, length, rest) for key, length, rest in told])
        reads = zip(states, readers.split(1), lengths.split(1), strict=True)
        least = torch.stack([read_of(own, reader, length).min() for own, reader, length in reads])
        ends = least.clamp(self.opened - _EARLIER, self.opened)
        nothing = keys.new_zeros(1, keys.shape[1])
        texts = zip(plain, readers.split(1), lengths.split(1), strict=True)
        most = torch.stack([read_of(torch.cat([nothing, text]), *reader).max() for text, *reader in texts])
        begins = torch.maximum(ends - width, (most + _ABOVE).clamp(max=_LATEST))
        return GatedDelta(readers, lengths, values, begins, torch.maximum(ends, begins + _STEEPEST))

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
