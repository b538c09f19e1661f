"""Second moments on disk, each with a note of what it was measured on, and refused where the note does not fit.

One safetensors file holds the moments of one module. Its name is a hash of all that it depends on; its header says
the same in words, with a checksum of the values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from easyedit_ice.cache import cache_root
from easyedit_ice.errors import StatisticsError
from easyedit_ice.noted import read_noted, read_notes, write_noted

FORMAT = "1"
_TENSOR = "moment"


@dataclass(frozen=True)
class Origin:
    """What a second moment was measured on.

    Attributes:
        model: name of the model, for people.
        weights: hash of all its weights.
        module: path of the projection.
        text: name of the text, for people.
        text_hash: tells it from other texts.
        tokens: over how many tokens; 0 for all of the text.
        longest: tokens of a text that were read.
        dtype: of the stored values.
    """

    model: str
    weights: str
    module: str
    text: str
    text_hash: str
    tokens: int
    longest: int
    dtype: str

    def told(self) -> dict[str, str | int]:
        """All but what is for people."""
        return {name: value for name, value in asdict(self).items() if name not in ("model", "text")}

    @property
    def path(self) -> Path:
        """Where it is stored."""
        digest = hashlib.sha256(json.dumps([FORMAT, self.told()], sort_keys=True).encode()).hexdigest()
        return moments_folder() / f"{digest[:24]}.safetensors"


@dataclass(frozen=True)
class Stored:
    """A file of the cache.

    Attributes:
        path: of it.
        origin: what it was measured on.
        counted: tokens that were read.
        size: of the file, in bytes.
    """

    path: Path
    origin: Origin
    counted: int
    size: int


def moments_folder() -> Path:
    """Where second moments are kept; it need not be there."""
    return cache_root() / "moments"


def save_moment(origin: Origin, moment: Tensor, counted: int) -> None:
    """Store a second moment; of processes that do it at once, one is the first, and no reader sees half a file.

    Args:
        origin: what it was measured on.
        moment: (d, d).
        counted: tokens that were read.
    """
    notes = {"format": FORMAT, "origin": json.dumps(asdict(origin)), "counted": str(counted)}
    write_noted(origin.path, {_TENSOR: moment.to(getattr(torch, origin.dtype))}, notes)


def load_moment(origin: Origin) -> tuple[Tensor, int] | None:
    """The stored second moment, (d, d) in fp64, and the tokens it was measured on; ``None`` if there is none.

    Raises:
        StatisticsError: the file is damaged, or holds something else than its name says.
    """
    path = origin.path
    if not path.exists():
        return None
    kept, counted = _understood(path, read_notes(path, _damaged))
    if differing := [name for name, value in origin.told().items() if kept.told()[name] != value]:
        raise _damaged(path, f"was measured on another {' and '.join(differing)} than its name says")
    tensors, _ = read_noted(path, _damaged)
    return tensors[_TENSOR].double(), counted


def stored_moments() -> Iterator[Stored]:
    """All files of the cache.

    Raises:
        StatisticsError: one is damaged.
    """
    for path in sorted(moments_folder().glob("*.safetensors")):
        yield Stored(path, *_understood(path, read_notes(path, _damaged)), path.stat().st_size)


def clear_moments() -> int:
    """Delete all files of the cache, damaged ones too; how many there were."""
    paths = sorted(moments_folder().glob("*.safetensors"))
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _understood(path: Path, notes: Mapping[str, str]) -> tuple[Origin, int]:
    try:
        if notes["format"] != FORMAT:
            raise _damaged(path, f"is not of format {FORMAT}")
        return Origin(**json.loads(notes["origin"])), int(notes["counted"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"lacks its notes ({error})") from error


def _damaged(path: Path, how: str) -> StatisticsError:
    return StatisticsError(f"{path} {how}; delete it, or run `easyedit-ice stats clear`, to have it measured again")
