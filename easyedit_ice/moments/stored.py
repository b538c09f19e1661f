"""Second moments on disk, each with a note of what it was measured on, and refused where the note does not fit.

One safetensors file holds the moments of one module. Its name is a hash of all that it depends on; its header says
the same in words, with a checksum of the values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from easyedit_ice.cache import cache_root, made_once
from easyedit_ice.errors import StatisticsError

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
    made_once(origin.path, partial(_write, origin, moment.to(getattr(torch, origin.dtype)).contiguous(), counted))


def load_moment(origin: Origin) -> tuple[Tensor, int] | None:
    """The stored second moment, (d, d) in fp64, and the tokens it was measured on; ``None`` if there is none.

    Raises:
        StatisticsError: the file is damaged, or holds something else than its name says.
    """
    path = origin.path
    if not path.exists():
        return None
    with _opened(path) as file:
        kept, counted = _understood(path, file.metadata())
        if differing := [name for name, value in origin.told().items() if kept.told()[name] != value]:
            raise _damaged(path, f"was measured on another {' and '.join(differing)} than its name says")
        moment = file.get_tensor(_TENSOR)
        if file.metadata().get("checksum") != _checksum(moment):
            raise _damaged(path, "has other values than were written")
    return moment.double(), counted


def stored_moments() -> Iterator[Stored]:
    """All files of the cache.

    Raises:
        StatisticsError: one is damaged.
    """
    for path in sorted(moments_folder().glob("*.safetensors")):
        with _opened(path) as file:
            yield Stored(path, *_understood(path, file.metadata()), path.stat().st_size)


def clear_moments() -> int:
    """Delete all files of the cache, damaged ones too; how many there were."""
    paths = sorted(moments_folder().glob("*.safetensors"))
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _write(origin: Origin, moment: Tensor, counted: int, path: Path) -> None:
    from safetensors.torch import save_file

    notes = {"format": FORMAT, "origin": json.dumps(asdict(origin)), "counted": str(counted)}
    save_file({_TENSOR: moment}, path, metadata=notes | {"checksum": _checksum(moment)})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise _damaged(path, f"cannot be read ({error})") from error


def _understood(path: Path, notes: Mapping[str, str] | None) -> tuple[Origin, int]:
    try:
        if notes is None or notes["format"] != FORMAT:
            raise _damaged(path, f"is not of format {FORMAT}")
        return Origin(**json.loads(notes["origin"])), int(notes["counted"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"lacks its notes ({error})") from error


def _checksum(moment: Tensor) -> str:
    return hashlib.sha256(moment.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def _damaged(path: Path, how: str) -> StatisticsError:
    return StatisticsError(f"{path} {how}; delete it, or run `easyedit-ice stats clear`, to have it measured again")
