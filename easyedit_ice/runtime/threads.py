"""How many threads of the CPU a command computes with.

Small models are slowed by more than one: the work of a step is little, and threads wait for each other. The library
leaves torch's number alone; commands and benchmarks compute within :func:`threads`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

USUAL = 1
"""An edit of the embedded model took 11 s with one thread and 130 s with torch's default on one busy machine."""


@contextmanager
def threads(count: int = USUAL) -> Iterator[int]:
    """Have torch compute with so many threads, and with as many as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield count
    finally:
        torch.set_num_threads(before)
