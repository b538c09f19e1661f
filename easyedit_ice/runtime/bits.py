"""The bits of tensors."""

from __future__ import annotations

import torch
from torch import Tensor

_WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def as_bytes(tensor: Tensor) -> Tensor:
    """All bytes of a tensor, in the order of its elements: (bytes,) of uint8, on its device."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def checksum(tensor: Tensor) -> tuple[int, int]:
    """Sums over the bits of a tensor, weighted by row and by column: they change when an element does or moves."""
    bits = tensor.detach().contiguous().view(_WORDS[tensor.element_size()]).reshape(-1, tensor.shape[-1])
    rows, columns = (bits.sum(dim, dtype=torch.int64) for dim in (1, 0))
    return _weighted(rows), _weighted(columns)


def _weighted(sums: Tensor) -> int:
    return int((sums * torch.arange(1, len(sums) + 1, device=sums.device)).sum())
