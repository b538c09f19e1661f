"""Random draws that depend on a seed alone, and leave the process's random state as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def seeded(seed: int, model: nn.Module) -> Iterator[None]:
    """Seed Python, numpy and torch, on the CPU and the model's GPUs, for the block."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=cuda_devices(model)):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


def cuda_devices(model: nn.Module) -> list[int]:
    """Numbers of the GPUs a model lies on."""
    return sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
