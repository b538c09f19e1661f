"""Second moments on disk, each with a note of what it was measured on, and refused where the note does not fit.

One safetensors file holds the moments of one module. Its name is a hash of all that it depends on; its header says
the same in words, with a checksum of the values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from easyedit_ice.runtime.store import TensorStore

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
        return MOMENTS.path_of(self.told())


@dataclass(frozen=True)
class Measured:
    """What the notes of a stored second moment say.

    Attributes:
        origin: what it was measured on.
        counted: tokens that were read.
    """

    origin: Origin
    counted: int

    @classmethod
    def parse(cls, notes: Mapping[str, str]) -> Measured:
        """From a file's notes."""
        return cls(Origin(**json.loads(notes["origin"])), int(notes["counted"]))


MOMENTS = TensorStore(
    name="moments",
    format="1",
    remedy="or run `easyedit-ice internals stats clear`, to have it measured again",
    pattern="*.safetensors",
    parse=Measured.parse,
)
"""All stored second moments."""


def save_moment(origin: Origin, moment: Tensor, counted: int) -> None:
    """Store a second moment.

    Args:
        origin: what it was measured on.
        moment: (d, d).
        counted: tokens that were read.
    """
    notes = {"origin": json.dumps(asdict(origin)), "counted": str(counted)}
    MOMENTS.save(origin.path, {_TENSOR: moment.to(getattr(torch, origin.dtype))}, notes)


def load_moment(origin: Origin) -> tuple[Tensor, int] | None:
    """The stored second moment, (d, d) in fp64, and the tokens it was measured on; ``None`` if there is none.

    Raises:
        DamagedFileError: the file is damaged, or holds something else than its name says.
    """
    path = origin.path
    if not path.exists():
        return None
    notes = MOMENTS.about(path)
    if differing := [name for name, value in origin.told().items() if notes.origin.told()[name] != value]:
        raise MOMENTS.damaged(path, f"was measured on another {' and '.join(differing)} than its name says")
    return MOMENTS.tensors(path)[_TENSOR].double(), notes.counted
