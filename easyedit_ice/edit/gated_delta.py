"""A change that acts in parts of the input alone, which no weight can hold: values with gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import torch
from torch import Tensor

from easyedit_ice.edit.delta import Delta, check_floating
from easyedit_ice.errors import UpdateError

ANY_LENGTH = torch.finfo(torch.float32).max
"""Of a key whose gate opens by all that is read of it, however long the input is."""


@dataclass(frozen=True)
class GatedDelta(Delta):
    """What is written only where the module reads what was asked for: y = W x + Vᵀ g(s(x)).

    s = Q x min(1, r / ‖x‖) tells how much of each fact's key x has: 1 is all of it, and a long x has no more of it than
    its direction says. g(s) is (s - closed) / (open - closed), but 0 where that is below 0 and 1 where it is above 1.

    What a linear change writes for one key it also writes, in part, for every other that is not orthogonal to it, and
    such parts add up over edits; here they are nothing. Gated keys and values beside the weights are NeuralDB's idea
    (Fei et al. 2025, arXiv 2507.18028), whose gate is the cosine with the nearest key.

    Attributes:
        readers: Q (n, in), fp32.
        lengths: r (n,), that of each key; :data:`ANY_LENGTH` lets an x count for all that is read of it.
        values: V (n, out), fp32.
        closed: (n,), the s from which on a gate opens.
        open: (n,), above ``closed``, from where on it is open.
    """

    kind: ClassVar[str] = "gated"
    beside: ClassVar[bool] = True
    readers: Tensor
    lengths: Tensor
    values: Tensor
    closed: Tensor
    open: Tensor

    def __post_init__(self) -> None:
        check_floating(*self.tensors().values())
        if self.readers.ndim != 2 or self.values.ndim != 2 or len(self.readers) != len(self.values):
            raise UpdateError(
                f"readers of shape {tuple(self.readers.shape)} and values of {tuple(self.values.shape)} do not make a "
                "gated delta; expected (n, in) and (n, out)"
            )
        count = len(self.readers)
        if not self.lengths.shape == self.closed.shape == self.open.shape == (count,):
            raise UpdateError(
                f"lengths of shape {tuple(self.lengths.shape)} and bounds of {tuple(self.closed.shape)} and "
                f"{tuple(self.open.shape)} for {count} readers; expected ({count},) of each"
            )
        if not bool((self.closed < self.open).all()):
            raise UpdateError("a gate is open before it opens; expected closed < open for each")

    @property
    def bounded(self) -> bool:
        """Whether long inputs count for no more than their direction says, at some gate."""
        return bool((self.lengths < ANY_LENGTH).any())

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in) of the module that it stands beside."""
        return self.values.shape[1], self.readers.shape[1]

    def matrix(self) -> Tensor:
        """Vᵀ Q, what it would be without gates: it gauges how much is written, and is not what is done."""
        return self.values.T @ self.readers

    def apply(self, inputs: Tensor) -> Tensor:
        """Vᵀ g(s(x)) for inputs (..., in), in the inputs' dtype."""
        delta = self.to(inputs.device)
        gates = ((read_of(inputs, delta.readers, delta.lengths) - delta.closed) / (delta.open - delta.closed)).clamp(
            0, 1
        )
        return (gates @ delta.values).to(inputs.dtype)

    def scaled(self, factor: float) -> GatedDelta:
        """The same gates, with values scaled."""
        return replace(self, values=self.values * factor)

    def to(self, device: torch.device) -> GatedDelta:
        """The same on a device."""
        return GatedDelta(**{name: tensor.to(device) for name, tensor in self.tensors().items()})

    def joined(self, other: Delta) -> GatedDelta | None:
        """The gates of both."""
        return GatedDelta.total((self, other)) if isinstance(other, GatedDelta) else None

    @staticmethod
    def total(deltas: Sequence[GatedDelta]) -> GatedDelta:
        """The gates of several, of one shape, on the device of the first."""
        device = deltas[0].values.device
        parts = [delta.to(device).tensors() for delta in deltas]
        return GatedDelta(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})

    def tensors(self) -> dict[str, Tensor]:
        """Readers, lengths, values and the bounds of the gates."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> GatedDelta:
        """From readers, lengths, values and bounds."""
        return cls(**{field.name: tensors[field.name] for field in fields(cls)})


def read_of(inputs: Tensor, readers: Tensor, lengths: Tensor) -> Tensor:
    """How much of each key is read, Q x min(1, r / ‖x‖): (..., n) in fp32.

    Args:
        inputs: x, (..., in).
        readers: Q, (n, in).
        lengths: r, (n,).
    """
    states = inputs.float()
    shares = lengths / states.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    read: Tensor = states @ readers.T * shares.clamp(max=1)
    return read
