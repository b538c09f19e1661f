"""What an edit costs: seconds, and how far memory rises."""

from __future__ import annotations

import ctypes
import gc
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

PROCESS = Path("/proc/self")


@dataclass
class Cost:
    """Filled in when the measured block ends.

    Attributes:
        seconds: that the block took.
        peak_mib: how far memory rose above what was in use before, in MiB: the GPU's where the model is on one, else
            the process's resident memory; none where the system does not tell.
        first: whether it is the first of its kind, which also pays for what is loaded and set up once.
    """

    seconds: float = 0.0
    peak_mib: float | None = None
    first: bool = False


class Meter:
    """Measures blocks of one kind, and knows which was the first.

    Args:
        model: that the blocks work with.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._used = False

    @contextmanager
    def measured(self) -> Iterator[Cost]:
        """Measure a block."""
        with measured(self._model) as cost:
            cost.first, self._used = not self._used, True
            yield cost


@contextmanager
def measured(model: nn.Module) -> Iterator[Cost]:
    """Measure a block that works with a model."""
    cost = Cost()
    device = next(model.parameters()).device
    before = _settle(device)
    started = time.perf_counter()
    try:
        yield cost
    finally:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        cost.seconds = time.perf_counter() - started
        if before is not None:
            cost.peak_mib = max(0.0, _peak_mib(device) - before)


def _settle(device: torch.device) -> float | None:
    """MiB in use, after what was freed has been given back and the high-water mark set to it."""
    gc.collect(1)  # a full collection takes longer than a quick method's edit
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / 2**20
    try:
        ctypes.CDLL(None).malloc_trim(0)
        (PROCESS / "clear_refs").write_text("5")
        return _status_mib("VmRSS")
    except (OSError, AttributeError):
        return None


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return _status_mib("VmHWM")


def _status_mib(line: str) -> float:
    match = re.search(rf"{line}:\s+(\d+) kB", (PROCESS / "status").read_text())
    if match is None:
        raise OSError(f"/proc/self/status has no line {line}")
    return int(match[1]) / 1024
