"""Decompositions on disk, by the hash of the weight, and refused where they are not what their name says.

One safetensors file holds the decomposition of one weight.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from easyedit_ice.cache import cache_root, fingerprint
from easyedit_ice.errors import SpectrumError
from easyedit_ice.noted import read_noted, read_notes, write_noted
from easyedit_ice.spectra.decompose import Spectrum

FORMAT = "1"


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
        digest = hashlib.sha256(json.dumps([FORMAT, asdict(self)], sort_keys=True).encode()).hexdigest()
        return spectra_folder() / f"{digest[:24]}.safetensors"


@dataclass(frozen=True)
class Stored:
    """A file of the cache.

    Attributes:
        path: of it.
        module: path of the projection whose weight it was, for people.
        decomposed: what it is of.
        error: of the decomposition.
        size: of the file, in bytes.
    """

    path: Path
    module: str
    decomposed: Decomposed
    error: float
    size: int


def spectra_folder() -> Path:
    """Where decompositions are kept; it need not be there."""
    return cache_root() / "spectra"


def save_spectrum(decomposed: Decomposed, module: str, spectrum: Spectrum) -> None:
    """Store a decomposition; of processes that do it at once, one is the first, and no reader sees half a file."""
    tensors = {"left": spectrum.left, "values": spectrum.values, "right": spectrum.right}
    notes = {"format": FORMAT, "decomposed": json.dumps(asdict(decomposed)), "module": module}
    write_noted(decomposed.path, tensors, notes | {"error": repr(spectrum.error)})


def load_spectrum(decomposed: Decomposed) -> Spectrum | None:
    """The stored decomposition; ``None`` if there is none.

    Raises:
        SpectrumError: the file is damaged, or holds something else than its name says.
    """
    path = decomposed.path
    if not path.exists():
        return None
    tensors, notes = read_noted(path, _damaged)
    kept = _understood(path, notes)
    if kept.decomposed != decomposed:
        raise _damaged(path, "is of another weight, method or rank than its name says")
    return Spectrum(**tensors, error=kept.error)


def stored_spectra() -> Iterator[Stored]:
    """All files of the cache.

    Raises:
        SpectrumError: one is damaged.
    """
    for path in sorted(spectra_folder().glob("*.safetensors")):
        yield _understood(path, read_notes(path, _damaged))


def clear_spectra() -> int:
    """Delete all files of the cache, damaged ones too; how many there were."""
    paths = sorted(spectra_folder().glob("*.safetensors"))
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _understood(path: Path, notes: dict[str, str]) -> Stored:
    try:
        if notes["format"] != FORMAT:
            raise _damaged(path, f"is not of format {FORMAT}")
        decomposed = Decomposed(**json.loads(notes["decomposed"]))
        return Stored(path, notes["module"], decomposed, float(notes["error"]), path.stat().st_size)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"lacks its notes ({error})") from error


def _damaged(path: Path, how: str) -> SpectrumError:
    return SpectrumError(f"{path} {how}; delete it, or run `easyedit-ice spectra clear`, to have it made again")
