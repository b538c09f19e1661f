"""An expert: what an SVF edit changed, without the directions that belong to the model.

ΔW = U S^½ D S^½ Vᵀ. U, S and V follow from the base model's weight, so D's elements are all that is kept, and their
places as runs along diagonals: one number for each singular value that is scaled (Transformer², Sun et al. 2025, arXiv
2501.06252).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self

from easyedit_ice.edit.delta import SpectralDelta
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import AnatomyError, ExpertError
from easyedit_ice.experts.files import read_files, write_files
from easyedit_ice.model.anatomy import ModelAnatomy, Projection
from easyedit_ice.precompute.weight_spectra import decomposed, spectra

_NAME = re.compile(r"[\w][\w .+-]*")


@dataclass(frozen=True)
class Fact:
    """What an expert was trained on.

    Attributes:
        prompt: text that the target follows.
        subject: what the fact is about, if it was named.
        target_new: what follows.
        relation: kind of the fact, if it was named.
    """

    prompt: str
    subject: str | None
    target_new: str
    relation: str | None = None

    @classmethod
    def of(cls, request: EditRequest, relation: str | None = None) -> Self:
        """A request's fact."""
        return cls(request.prompt, request.subject, request.target_new, relation)


@dataclass(frozen=True, eq=False)
class Elements:
    """Elements of one projection's D; r is the number of its singular values.

    Attributes:
        rows: (m,), 0 to r − 1.
        columns: (m,), 0 to r − 1.
        values: (m,), fp32.
    """

    rows: Tensor
    columns: Tensor
    values: Tensor

    @classmethod
    def of(cls, delta: SpectralDelta) -> Self:
        """Copies of a delta's elements, on the CPU."""
        return cls(*(part.detach().to("cpu", copy=True) for part in (delta.rows, delta.columns, delta.values)))


@dataclass(frozen=True)
class Size:
    """What an expert takes.

    Attributes:
        numbers: elements of all projections.
        bytes: of these with their places, as they are saved.
    """

    numbers: int
    bytes: int


@dataclass(frozen=True, eq=False)
class Expert:
    """A change of a base model's singular values, and where it comes from.

    Attributes:
        name: by which it is chosen; also that of its folder in a library.
        elements: by module path.
        fingerprint: hash of the base model's weights that it changes.
        svd: how they are decomposed.
        svd_rank: how many of their greatest singular values are found; ``None`` for all.
        facts: what it was trained on.
        settings: of the training.
        scores: of it, as plain values; empty if it was not scored.
    """

    name: str
    elements: Mapping[str, Elements]
    fingerprint: str
    svd: str
    svd_rank: int | None
    facts: tuple[Fact, ...]
    settings: Mapping[str, Any]
    scores: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ExpertError(
                f"an expert cannot be called {self.name!r}; use letters, digits, spaces and any of _ . + -, "
                "and begin with a letter or digit"
            )

    @classmethod
    def of(
        cls,
        update: WeightUpdate,
        model: nn.Module,
        name: str,
        requests: Sequence[EditRequest],
        hparams: EditHyperParams,
        scores: Mapping[str, Any] | None = None,
        *,
        relations: Sequence[str | None] | None = None,
    ) -> Self:
        """The expert that an SVF update amounts to.

        Args:
            update: of this model.
            model: as it was when the update was made, or edited since.
            name: of the expert.
            requests: the facts.
            hparams: with which the update was made.
            scores: plain values to keep with it.
            relations: kinds of the facts, in their order.

        Raises:
            ExpertError: a delta is not of singular values, or the name is no name for a folder.
        """
        spectral = {path: delta for path, delta in update.deltas.items() if isinstance(delta, SpectralDelta)}
        others = [path for path in update.deltas if path not in spectral]
        if others:
            raise ExpertError(f"{', '.join(others)} changed in other ways than by singular values; use an SVF update")
        settings = hparams.to_dict()
        svd, rank = settings["svd"], settings["svd_rank"]
        kinds = [None] * len(requests) if relations is None else relations
        return cls(
            name,
            {path: Elements.of(delta) for path, delta in spectral.items()},
            fingerprint(model, list(update.deltas), svd, rank),
            svd,
            rank,
            tuple(Fact.of(request, relation) for request, relation in zip(requests, kinds, strict=True)),
            settings,
            dict(scores or {}),
        )

    @property
    def modules(self) -> tuple[str, ...]:
        """Paths of the projections it changes."""
        return tuple(self.elements)

    @property
    def size(self) -> Size:
        """Numbers and bytes."""
        tensors = [tensor for element in self.elements.values() for tensor in _saved(element).values()]
        numbers = sum(len(element.values) for element in self.elements.values())
        return Size(numbers, sum(tensor.nbytes for tensor in tensors))

    def update(self, model: nn.Module) -> WeightUpdate:
        """The expert as a change of a model, which may have been edited since it was first seen.

        Raises:
            ExpertError: the model is another one than it was trained on.
        """
        self.check_base(model)
        by_path = spectra(model, _projections(model, self.modules), self.svd, self.svd_rank)
        deltas = {
            path: SpectralDelta(
                spectrum.left,
                spectrum.values,
                spectrum.right,
                *(part.to(spectrum.values.device) for part in vars(self.elements[path]).values()),
            )
            for path, spectrum in by_path.items()
        }
        facts = [[fact.prompt, fact.target_new] for fact in self.facts]
        return WeightUpdate(deltas, {"expert": self.name, "hparams": dict(self.settings), "facts": facts})

    def check_base(self, model: nn.Module) -> None:
        """Refuse a model that it was not trained on.

        Raises:
            ExpertError: the model is another one.
        """
        try:
            prints = fingerprint(model, self.modules, self.svd, self.svd_rank)
        except AnatomyError as error:
            raise ExpertError(f"expert {self.name!r} belongs to another architecture: {error}") from error
        if prints != self.fingerprint:
            raise ExpertError(
                f"expert {self.name!r} was trained on weights {self.fingerprint[:16]}, but those of this model are "
                f"{prints[:16]}; load the model it was trained on, unedited and in the same dtype, or train it anew"
            )

    def save(self, folder: str | Path) -> None:
        """Write the expert as safetensors and JSON.

        Args:
            folder: made if need be; an expert saved there before is replaced as a whole.

        Raises:
            ExpertError: the folder holds something else.
        """
        tensors = {
            f"{path}:{part}": tensor
            for path, element in self.elements.items()
            for part, tensor in _saved(element).items()
        }
        about = {
            "name": self.name,
            "modules": list(self.modules),
            "fingerprint": self.fingerprint,
            "svd": self.svd,
            "svd_rank": self.svd_rank,
            "facts": [asdict(fact) for fact in self.facts],
            "settings": dict(self.settings),
            "scores": dict(self.scores),
        }
        write_files(Path(folder), tensors, about)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            ExpertError: a file is missing, damaged, or of something else.
        """
        tensors, about = read_files(Path(folder))
        try:
            elements = {path: _loaded(tensors, path) for path in about.pop("modules")}
            facts = tuple(Fact(**fact) for fact in about.pop("facts"))
            return cls(elements=elements, facts=facts, **about)
        except (KeyError, TypeError) as error:
            raise ExpertError(f"{folder} lacks a part of its expert ({error}); save the expert again") from error


def fingerprint(model: nn.Module, modules: Sequence[str], svd: str, svd_rank: int | None) -> str:
    """Hash of some weights of a model as it was when it was first seen.

    Args:
        model: may have been edited since.
        modules: paths of projections.
        svd: how they are decomposed.
        svd_rank: how many singular values are found.

    Raises:
        AnatomyError: the model has no such projection.
    """
    by_path = decomposed(model, _projections(model, modules), svd, svd_rank)
    named = "\n".join(f"{path} {by_path[path].weight}" for path in sorted(by_path))
    return hashlib.sha256(named.encode()).hexdigest()


def _projections(model: nn.Module, modules: Sequence[str]) -> list[Projection]:
    anatomy = ModelAnatomy(model)
    return [anatomy.projection(path) for path in modules]


def _saved(elements: Elements) -> dict[str, Tensor]:
    return {"values": elements.values, "runs": _runs(elements.rows, elements.columns)}


def _loaded(tensors: Mapping[str, Tensor], path: str) -> Elements:
    rows, columns = _places(tensors[f"{path}:runs"])
    return Elements(rows, columns, tensors[f"{path}:values"])


def _runs(rows: Tensor, columns: Tensor) -> Tensor:
    """Places as runs along diagonals, each by its first row and column and its length: (runs, 3) in int32."""
    goes_on = (rows.diff() == 1) & (columns.diff() == 1)
    first = torch.cat([torch.tensor([0]), (~goes_on).nonzero().flatten() + 1])
    lengths = torch.cat([first, torch.tensor([len(rows)])]).diff()
    return torch.stack([rows[first], columns[first], lengths], dim=1).to(torch.int32)


def _places(runs: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns, (m,) each, of places kept as runs."""
    first, lengths = runs[:, :2].long(), runs[:, 2].long()
    along = torch.cat([torch.arange(length) for length in lengths.tolist()])
    rows, columns = first.repeat_interleave(lengths, dim=0).T + along
    return rows, columns
