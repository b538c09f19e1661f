"""Weight changes of single matrices, as small as they are by construction.

Every delta stands for an (out, in) matrix in fp32, whatever the orientation and dtype of the weight it is
added to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import torch
from torch import Tensor

from easyedit_ice.errors import UpdateError

_PLACES = ("rows", "columns")


class Delta(ABC):
    """A change ΔW of one matrix.

    Attributes:
        kind: name of the form in saved files.
        parts: how many dimensions each of its tensors has there.
    """

    kind: ClassVar[str]
    parts: ClassVar[Mapping[str, int]]
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
        """ΔW + ΔW', kept low-rank if both are, and spectral if both are of one weight."""
        if self.shape != other.shape:
            raise UpdateError(f"deltas of shapes {self.shape} and {other.shape} do not add; expected equal shapes")
        if isinstance(self, LowRankDelta) and isinstance(other, LowRankDelta):
            return LowRankDelta(torch.cat([self.a, other.a]), torch.cat([self.b, other.b], dim=1))
        if isinstance(self, SpectralDelta) and isinstance(other, SpectralDelta) and self.shares_basis(other):
            return self.with_others(other)
        return DenseDelta(self.matrix() + other.matrix().to(self.matrix().device))

    @staticmethod
    def load(kind: str, tensors: Mapping[str, Tensor]) -> Delta:
        """Build a saved delta of the given kind.

        Raises:
            UpdateError: the kind is unknown, or a tensor is of another type or shape than such a delta has.
            KeyError: a tensor is missing.
        """
        if not isinstance(kind, str) or kind not in Delta._kinds:
            raise UpdateError(f"unknown kind of delta {kind!r}; expected one of {', '.join(Delta._kinds)}")
        form = Delta._kinds[kind]
        for name, dimensions in form.parts.items():
            tensor, wanted = tensors[name], torch.int64 if name in _PLACES else torch.float32
            if tensor.ndim != dimensions or tensor.dtype != wanted:
                raise UpdateError(
                    f"the tensor {name} of a {kind} delta is of {tensor.ndim} dimensions in {tensor.dtype}; expected "
                    f"{dimensions} in {wanted}"
                )
        return form.from_tensors(tensors)


@dataclass(frozen=True)
class LowRankDelta(Delta):
    """ΔW = B A.

    Attributes:
        a: (rank, in), fp32.
        b: (out, rank), fp32, the adapter's scale included.
    """

    kind: ClassVar[str] = "low_rank"
    parts: ClassVar[Mapping[str, int]] = {"a": 2, "b": 2}
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
class SpectralDelta(Delta):
    """ΔW = U S^½ D S^½ Vᵀ for a weight W = U S Vᵀ, where D has few elements.

    An element δ on the diagonal of D scales a singular value s to s (1 + δ); one beside it lets a singular direction of
    the input move another of the output.

    Attributes:
        left: U (out, r), fp32, columns orthonormal.
        scales: s (r,).
        right: V (in, r), columns orthonormal.
        rows: (m,), row in D of each of its elements.
        columns: (m,), its column.
        values: (m,), the elements, fp32; elements of one place add up.
    """

    kind: ClassVar[str] = "spectral"
    parts: ClassVar[Mapping[str, int]] = {"left": 2, "scales": 1, "right": 2, "rows": 1, "columns": 1, "values": 1}
    left: Tensor
    scales: Tensor
    right: Tensor
    rows: Tensor
    columns: Tensor
    values: Tensor

    def __post_init__(self) -> None:
        rank = len(self.scales)
        if self.left.shape[1:] != (rank,) or self.right.shape[1:] != (rank,):
            raise UpdateError(
                f"U of shape {tuple(self.left.shape)} and V of shape {tuple(self.right.shape)} do not go with "
                f"{rank} singular values; expected (out, {rank}) and (in, {rank})"
            )
        if not self.rows.shape == self.columns.shape == self.values.shape:
            raise UpdateError(
                f"{len(self.rows)} rows, {len(self.columns)} columns and {len(self.values)} values do not make elements"
            )
        if any(
            len(places) and not 0 <= int(places.min()) <= int(places.max()) < rank
            for places in (self.rows, self.columns)
        ):
            raise UpdateError(f"an element stands outside of the {rank} rows and columns of D")

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in) of ΔW."""
        return len(self.left), len(self.right)

    def middle(self) -> Tensor:
        """S^½ D S^½ (r, r)."""
        roots = self.scales.sqrt()
        weighted = self.values * roots[self.rows] * roots[self.columns]
        return weighted.new_zeros(2 * (len(roots),)).index_put((self.rows, self.columns), weighted, accumulate=True)

    def matrix(self) -> Tensor:
        """U S^½ D S^½ Vᵀ."""
        return self.left @ self.middle() @ self.right.T

    def apply(self, inputs: Tensor) -> Tensor:
        """ΔW x through the factors, without forming ΔW."""
        delta = self.to(inputs.device)
        return spectral_change(inputs.float(), delta, delta.values).to(inputs.dtype)

    def norm(self) -> float:
        """Frobenius norm, that of S^½ D S^½."""
        return self.middle().norm().item()

    def scaled(self, factor: float) -> SpectralDelta:
        """D scaled by the factor."""
        return replace(self, values=self.values * factor)

    def to(self, device: torch.device) -> SpectralDelta:
        """The same on a device."""
        return SpectralDelta(**{name: tensor.to(device) for name, tensor in self.tensors().items()})

    def shares_basis(self, other: SpectralDelta) -> bool:
        """Whether both change the singular values of one weight."""
        pairs = ((self.left, other.left), (self.scales, other.scales), (self.right, other.right))
        return all(
            one is two or (one.shape == two.shape and torch.equal(one, two.to(one.device))) for one, two in pairs
        )

    def with_others(self, other: SpectralDelta) -> SpectralDelta:
        """The elements of both, those of one place summed."""
        rank, device = len(self.scales), self.values.device
        places = torch.cat([self.rows * rank + self.columns, (other.rows * rank + other.columns).to(device)])
        places, where = places.unique(return_inverse=True)
        values = torch.cat([self.values, other.values.to(device)])
        summed = values.new_zeros(len(places)).index_add(0, where, values)
        return replace(self, rows=places // rank, columns=places % rank, values=summed)

    def tensors(self) -> dict[str, Tensor]:
        """The basis and the elements."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> SpectralDelta:
        """From the basis and the elements."""
        return cls(**{field.name: tensors[field.name] for field in fields(cls)})


def spectral_change(inputs: Tensor, basis: SpectralDelta, values: Tensor) -> Tensor:
    """U S^½ D S^½ Vᵀ x, differentiable in the elements of D.

    Args:
        inputs: x (..., in), fp32.
        basis: U, s, V, and where D has elements.
        values: the elements (m,), or for each of the first dimension of x its own (n, m).
    """
    roots = basis.scales.sqrt()
    read = (inputs @ basis.right * roots)[..., basis.columns]
    moved = read * (values if values.ndim == 1 else values.view(len(values), *(1,) * (inputs.ndim - 2), -1))
    written = inputs.new_zeros(*inputs.shape[:-1], len(roots))
    return written.index_add(-1, basis.rows, moved) * roots @ basis.left.T


@dataclass(frozen=True)
class DenseDelta(Delta):
    """Any ΔW.

    Attributes:
        values: (out, in), fp32.
    """

    kind: ClassVar[str] = "dense"
    parts: ClassVar[Mapping[str, int]] = {"values": 2}
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
