"""Random draws that depend on a seed alone, and leave the process's random state as it was.

What is drawn here comes from generators of our own, seeded alike on every device, one stream for each thread's edit.
Libraries that know the process's generators alone are lent the state of ours, one thread at a time.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor, nn

from easyedit_ice.runtime.interrupts import ending_with, holding

_PROCESS = threading.RLock()
"""Held while the process's generators are read, written, or in use."""


class _Stream:
    """Generators of one seed, one for each device."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device) -> torch.Generator:
        """The generator of a device."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self._seed)
        return self._generators[device]


_STREAM: ContextVar[_Stream | None] = ContextVar("stream", default=None)


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Within the block :func:`generator_on` gives generators of this seed, in this thread."""
    outside = _STREAM.get()
    with ending_with(lambda: _STREAM.set(outside)):
        _STREAM.set(_Stream(seed))
        yield


def generator_on(device: torch.device) -> torch.Generator | None:
    """The generator to draw from; ``None``, the process's, outside :func:`drawing`."""
    stream = _STREAM.get()
    return None if stream is None else stream.on(device)


@contextmanager
def lent_to_libraries(model: nn.Module) -> Iterator[None]:
    """What draws from the process's generators draws from ours within the block; other threads wait with theirs."""
    stream = _STREAM.get()
    if stream is None:
        yield
        return
    devices = [torch.device("cpu"), *(torch.device("cuda", index) for index in cuda_devices(model))]

    def take_back() -> None:
        _STREAM.set(stream)
        for device in devices:
            stream.on(device).set_state(_process_state(device))

    with holding(_PROCESS), process_state_kept(model):
        for device in devices:
            _set_process_state(device, stream.on(device).get_state())
        with ending_with(take_back):
            _STREAM.set(None)
            yield


@contextmanager
def process_state_kept(model: nn.Module) -> Iterator[None]:
    """Bring torch's random state back after the block, on the CPU and the model's GPUs."""
    devices = [torch.device("cpu"), *(torch.device("cuda", index) for index in cuda_devices(model))]
    with holding(_PROCESS):
        states = [_process_state(device) for device in devices]

    def bring_back() -> None:
        with holding(_PROCESS):
            for device, state in zip(devices, states, strict=True):
                _set_process_state(device, state)

    with ending_with(bring_back):
        yield


@contextmanager
def seeded(seed: int, model: nn.Module) -> Iterator[None]:
    """Seed Python, numpy and torch, on the CPU and the model's GPUs, for the block; other threads wait with theirs."""
    with holding(_PROCESS), process_state_kept(model):
        of_python, of_numpy = random.getstate(), np.random.get_state()

        def bring_back() -> None:
            random.setstate(of_python)
            np.random.set_state(of_numpy)

        with ending_with(bring_back):
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            yield


def cuda_devices(model: nn.Module) -> list[int]:
    """Numbers of the GPUs a model lies on."""
    return sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})


def _process_state(device: torch.device) -> Tensor:
    return torch.get_rng_state() if device.type == "cpu" else torch.cuda.get_rng_state(device)


def _set_process_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cpu":
        torch.set_rng_state(state)
    else:
        torch.cuda.set_rng_state(state, device)
