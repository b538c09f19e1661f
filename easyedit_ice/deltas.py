"""Weight changes of single matrices, as small as they are by construction.

Every delta stands for an (out, in) matrix in fp32, whatever the orientation and dtype of the weight it is
added to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from easyedit_ice.errors import UpdateError


class Delta(ABC):
    """A change ΔW of one matrix.

    Attributes:
        kind: name of the form in saved files.
    """

    kind: ClassVar[str]
    _kinds: ClassVar[dict[str, type[Delta]]] = {}

    def __init_subclass__(cls) -> None:
        Delta._kinds[cls.kind] = cls

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(out, in) of ΔW."""

    @abstractmethod
    def matrix(self) -> Tensor:
        """ΔW as an (out, in) tensor in fp32."""

    @abstractmethod
    def apply(self, inputs: Tensor) -> Tensor:
        """ΔW x for inputs (..., in), in the inputs' dtype: (..., out)."""

    @abstractmethod
    def scaled(self, factor: float) -> Delta:
        """factor · ΔW."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All that :meth:`from_tensors` needs to build it again."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Delta:
        """Inverse of :meth:`tensors`."""

    def norm(self) -> float:
        """Frobenius norm of ΔW."""
        return self.matrix().norm().item()

    def plus(self, other: Delta) -> Delta:
        """ΔW + ΔW', kept low-rank if both are."""
        if self.shape != other.shape:
            raise UpdateError(f"deltas of shapes {self.shape} and {other.shape} do not add; expected equal shapes")
        if isinstance(self, LowRankDelta) and isinstance(other, LowRankDelta):
            return LowRankDelta(torch.cat([self.a, other.a]), torch.cat([self.b, other.b], dim=1))
        return DenseDelta(self.matrix() + other.matrix().to(self.matrix().device))

    @staticmethod
    def load(kind: str, tensors: Mapping[str, Tensor]) -> Delta:
        """Build a saved delta of the given kind.

        Raises:
            UpdateError: the kind is unknown.
        """
        if kind not in Delta._kinds:
            raise UpdateError(f"unknown kind of delta {kind!r}; expected one of {', '.join(Delta._kinds)}")
        return Delta._kinds[kind].from_tensors(tensors)


@dataclass(frozen=True)
class LowRankDelta(Delta):
    """ΔW = B A.

    Attributes:
        a: (rank, in), fp32.
        b: (out, rank), fp32, the adapter's scale included.
    """

    kind: ClassVar[str] = "low_rank"
    a: Tensor
    b: Tensor

    def __post_init__(self) -> None:
        if self.a.ndim != 2 or self.b.ndim != 2 or self.a.shape[0] != self.b.shape[1]:
            raise UpdateError(
                f"factors of shapes {tuple(self.a.shape)} and {tuple(self.b.shape)} do not make a low-rank delta; "
                "expected (rank, in) and (out, rank)"
            )

    @property
    def rank(self) -> int:
        """Number of columns of B."""
        return self.a.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in) of ΔW."""
        return self.b.shape[0], self.a.shape[1]

    def matrix(self) -> Tensor:
        """B A."""
        return self.b @ self.a

    def apply(self, inputs: Tensor) -> Tensor:
        """B (A x), without forming B A."""
        a, b = (factor.to(inputs.device, torch.float32) for factor in (self.a, self.b))
        return (inputs.float() @ a.T @ b.T).to(inputs.dtype)

    def norm(self) -> float:
        """Frobenius norm, through the (rank, rank) Gram matrices."""
        a, b = self.a.double(), self.b.double()
        return ((b.T @ b) * (a @ a.T)).sum().clamp(min=0).sqrt().item()

    def scaled(self, factor: float) -> LowRankDelta:
        """B scaled by the factor."""
        return LowRankDelta(self.a, self.b * factor)

    def tensors(self) -> dict[str, Tensor]:
        """Both factors."""
        return {"a": self.a, "b": self.b}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> LowRankDelta:
        """From both factors."""
        return cls(tensors["a"], tensors["b"])


@dataclass(frozen=True)
class DenseDelta(Delta):
    """Any ΔW.

    Attributes:
        values: (out, in), fp32.
    """

    kind: ClassVar[str] = "dense"
    values: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in) of ΔW."""
        return self.values.shape[0], self.values.shape[1]

    def matrix(self) -> Tensor:
        """The values themselves."""
        return self.values

    def apply(self, inputs: Tensor) -> Tensor:
        """ΔW x."""
        values = self.values.to(inputs.device, torch.float32)
        return (inputs.float() @ values.T).to(inputs.dtype)

    def scaled(self, factor: float) -> DenseDelta:
        """All values scaled by the factor."""
        return DenseDelta(self.values * factor)

    def tensors(self) -> dict[str, Tensor]:
        """The values."""
        return {"values": self.values}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> DenseDelta:
        """From the values."""
        return cls(tensors["values"])
