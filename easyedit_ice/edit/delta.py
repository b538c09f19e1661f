"""Changes of single matrices, as small as they are by construction.

Every delta stands for an (out, in) matrix in fp32, whatever the orientation and dtype of the weight it is
added to; but one (:mod:`~easyedit_ice.edit.gated_delta`), which acts in parts of the input alone and stands beside it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from easyedit_ice.errors import UpdateError


class Delta(ABC):
    """A change ΔW of one matrix.

    Attributes:
        kind: name of the form in saved files.
        beside: whether it stands beside a module, as no weight can hold it; :meth:`matrix` only gauges it then.
    """

    kind: ClassVar[str]
    beside: ClassVar[bool] = False
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
        return float(self.matrix().norm().item())

    def finite(self) -> bool:
        """Whether every number it is made of is finite."""
        return all(bool(tensor.isfinite().all()) for tensor in self.tensors().values())

    def plus(self, other: Delta) -> Delta:
        """ΔW + ΔW', in the form of both if that can hold it, else dense.

        Raises:
            UpdateError: they are of different shapes, or one of them alone is no matrix.
        """
        if self.shape != other.shape:
            raise UpdateError(f"deltas of shapes {self.shape} and {other.shape} do not add; expected equal shapes")
        joined = self.joined(other)
        if joined is not None:
            return joined
        if self.beside or other.beside:
            raise UpdateError(
                f"a {self.kind} and a {other.kind} delta do not add to one; commit them as two updates, one after the "
                "other"
            )
        matrix = self.matrix()
        return DenseDelta(matrix + other.matrix().to(matrix.device))

    def joined(self, other: Delta) -> Delta | None:
        """ΔW + ΔW' in the form of this delta; ``None`` if the other is of another form."""
        return None

    @staticmethod
    def load(kind: Any, tensors: Mapping[str, Tensor]) -> Delta:
        """Build a saved delta of the given kind, in fp32 whatever it was saved in.

        Raises:
            UpdateError: the kind is unknown, or the tensors do not make such a delta.
            KeyError: a tensor is missing.
        """
        if not isinstance(kind, str) or kind not in Delta._kinds:
            raise UpdateError(f"unknown kind of delta {kind!r}; expected one of {', '.join(Delta._kinds)}")
        return Delta._kinds[kind].from_tensors({name: _as_held(tensor) for name, tensor in tensors.items()})


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
        check_floating(self.a, self.b)
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

    def joined(self, other: Delta) -> LowRankDelta | None:
        """The rows of both A and the columns of both B."""
        if not isinstance(other, LowRankDelta):
            return None
        a, b = (factor.to(self.a.device) for factor in (other.a, other.b))
        return LowRankDelta(torch.cat([self.a, a]), torch.cat([self.b, b], dim=1))

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
    left: Tensor
    scales: Tensor
    right: Tensor
    rows: Tensor
    columns: Tensor
    values: Tensor

    def __post_init__(self) -> None:
        check_floating(self.left, self.scales, self.right, self.values)
        if self.scales.ndim != 1:
            raise UpdateError(f"singular values of shape {tuple(self.scales.shape)}; expected (r,)")
        rank = len(self.scales)
        if not all(basis.ndim == 2 and basis.shape[1] == rank for basis in (self.left, self.right)):
            raise UpdateError(
                f"U of shape {tuple(self.left.shape)} and V of shape {tuple(self.right.shape)} do not go with "
                f"{rank} singular values; expected (out, {rank}) and (in, {rank})"
            )
        if self.values.ndim != 1 or not self.rows.shape == self.columns.shape == self.values.shape:
            raise UpdateError(
                f"rows of shape {tuple(self.rows.shape)}, columns of {tuple(self.columns.shape)} and values of "
                f"{tuple(self.values.shape)} do not make elements; expected (m,) of each"
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
        return float(self.middle().norm().item())

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

    def joined(self, other: Delta) -> SpectralDelta | None:
        """The elements of both, those of one place summed, if they are of one weight."""
        if not isinstance(other, SpectralDelta) or not self.shares_basis(other):
            return None
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
        delta = cls(**{field.name: tensors[field.name] for field in fields(cls)})
        for name, places in (("rows", delta.rows), ("columns", delta.columns)):
            if places.is_floating_point() or ((places < 0) | (places >= len(delta.scales))).any():
                raise UpdateError(f"{name} of elements are not integers from 0 to {len(delta.scales) - 1}")
        return delta


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
    values: Tensor

    def __post_init__(self) -> None:
        check_floating(self.values)
        if self.values.ndim != 2:
            raise UpdateError(f"values of shape {tuple(self.values.shape)} do not make a delta; expected (out, in)")

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


def check_floating(*tensors: Tensor) -> None:
    """Refuse numbers that are no fractions: matrices of integers do not multiply with others."""
    wrong = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors if not tensor.is_floating_point()}
    if wrong:
        raise UpdateError(f"a delta is made of {', '.join(sorted(wrong))}; expected float32")


def _as_held(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
