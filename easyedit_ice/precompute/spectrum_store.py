"""Decompositions on disk, by the hash of the weight, and refused where they are not what their name says.

One safetensors file holds the decomposition of one weight.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from easyedit_ice.precompute.decompose import Spectrum
from easyedit_ice.runtime.cache import fingerprint
from easyedit_ice.runtime.store import TensorStore


@dataclass(frozen=True)
class Decomposed:
    """What a stored decomposition is of.

    Attributes:
        weight: hash of the weight's shape, type and bits.
        method: how it was decomposed.
        rank: how many singular values were asked for; ``None`` for all.
    """

    weight: str
    method: str
    rank: int | None

    @classmethod
    def of(cls, weight: Tensor, method: str, rank: int | None) -> Decomposed:
        """What the decomposition of a weight would be of."""
        return cls(fingerprint([("weight", weight)]), method, rank)

    @property
    def path(self) -> Path:
        """Where it is stored."""
        return SPECTRA.path_of(asdict(self))


@dataclass(frozen=True)
class Stored:
    """What the notes of a stored decomposition say.

    Attributes:
        module: path of the projection whose weight it was, for people.
        decomposed: what it is of.
        error: of the decomposition.
    """

    module: str
    decomposed: Decomposed
    error: float

    @classmethod
    def parse(cls, notes: Mapping[str, str]) -> Stored:
        """From a file's notes."""
        return cls(notes["module"], Decomposed(**json.loads(notes["decomposed"])), float(notes["error"]))


SPECTRA = TensorStore(
    name="spectra",
    format="1",
    remedy="or run `easyedit-ice internals spectra clear`, to have it made again",
    pattern="*.safetensors",
    parse=Stored.parse,
)
"""All stored decompositions."""


def save_spectrum(decomposed: Decomposed, module: str, spectrum: Spectrum) -> None:
    """Store a decomposition."""
    tensors = {"left": spectrum.left, "values": spectrum.values, "right": spectrum.right}
    notes = {"decomposed": json.dumps(asdict(decomposed)), "module": module, "error": repr(spectrum.error)}
    SPECTRA.save(decomposed.path, tensors, notes)


def load_spectrum(decomposed: Decomposed) -> Spectrum | None:
    """The stored decomposition; ``None`` if there is none.

    Raises:
        DamagedFileError: the file is damaged, or holds something else than its name says.
    """
    path = decomposed.path
    if not path.exists():
        return None
    notes = SPECTRA.about(path)
    if notes.decomposed != decomposed:
        raise SPECTRA.damaged(path, "is of another weight, method or rank than its name says")
    return Spectrum(**SPECTRA.tensors(path), error=notes.error)
