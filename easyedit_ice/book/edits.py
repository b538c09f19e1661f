"""An edit of a book, and its folder: an update as :meth:`WeightUpdate.save` writes it, known by its hashes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import Any

from easyedit_ice.book.edit_manifest import INFO, WEIGHTS, Entry
from easyedit_ice.checkpoints.gguf_files import sha256_of
from easyedit_ice.edit.base_model import Base, base_in, parts_of
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import BookDamagedError
from easyedit_ice.runtime.atomic_files import whole_folder

EDITS = "edits"
"""The folder of a book's edits."""


@dataclass(frozen=True)
class Edit:
    """A named edit; its files are read when they are first asked for.

    Attributes:
        place: its folder.
        entry: what the book says of it.
    """

    place: Path
    entry: Entry

    @property
    def name(self) -> str:
        """By which it is asked for."""
        return self.entry.name

    @property
    def key(self) -> str:
        """Tells it from all other edits, also from those that had its name before."""
        return self.entry.folder

    @property
    def on(self) -> bool:
        """Whether the book applies it unless others are asked for."""
        return self.entry.on

    @cached_property
    def update(self) -> WeightUpdate:
        """What it writes.

        Raises:
            BookDamagedError: a file of it is missing, or not as it was written.
        """
        self.check()
        return WeightUpdate.load(self.place)

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """Facts, algorithm, settings, and what it was solved on; the weights are not read.

        Raises:
            BookDamagedError: as for :attr:`update`.
        """
        self._check(INFO)
        info: Mapping[str, Any] = json.loads((self.place / INFO).read_text(encoding="utf-8"))["info"]
        return info

    @property
    def base(self) -> Base | None:
        """The model it belongs to; ``None`` if it was added without saying so."""
        return base_in(self.info)

    @property
    def solved_with(self) -> tuple[str, ...]:
        """Keys of the edits that were in the model when it was solved."""
        return tuple(self.info.get("solved_with", ()))

    @property
    def facts(self) -> tuple[EditRequest, ...]:
        """What it writes, as far as the update says."""
        return tuple(EditRequest.from_dict(fact) for fact in facts_in(self.info))

    @property
    def algorithm(self) -> str:
        """That solved it, or all of them for a sum."""
        return ", ".join(dict.fromkeys(_algorithms(self.info))) or "unknown"

    @property
    def verdict(self) -> Mapping[str, Any] | None:
        """What was found out when it was made: ``took``, ``figures`` and ``warnings``; ``None`` if nothing was."""
        return self.info.get("verdict")

    @property
    def size(self) -> int:
        """Of its files, in bytes."""
        return sum((self.place / name).stat().st_size for name in self.entry.files)

    def check(self) -> None:
        """Refuse an edit whose files are not as they were written.

        Raises:
            BookDamagedError: naming the file.
        """
        for name in self.entry.files:
            self._check(name)

    def _check(self, name: str) -> None:
        path = self.place / name
        try:
            right = sha256_of(path) == self.entry.files.get(name)
        except OSError as error:
            raise self._damaged(path, f"cannot be read ({error})") from error
        if not right:
            raise self._damaged(path, "is not as it was written")

    def _damaged(self, path: Path, how: str) -> BookDamagedError:
        return BookDamagedError(
            f"{path} {how}; put it back from a copy, or remove the edit {self.name!r} from the book and add it again"
        )


def save_edit(book: Path, name: str, update: WeightUpdate, *, on: bool, added: str) -> Entry:
    """Write an update into a book's folder; the book does not name it yet."""
    (book / EDITS).mkdir(exist_ok=True)
    place = book / EDITS / f"{name}-{token_hex(4)}"
    with whole_folder(place) as draft:
        update.save(draft)
        hashes = {file: sha256_of(draft / file) for file in (WEIGHTS, INFO)}
    return Entry(name, place.name, hashes, on, added)


def facts_in(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The facts of an update, as EasyEdit's request dicts."""
    if "requests" in info:
        return list(info["requests"])
    if parts := parts_of(info):
        return [fact for part in parts for fact in facts_in(part)]
    return [{"prompt": prompt, "target_new": target} for prompt, target in info.get("facts", ())]


def _algorithms(info: Mapping[str, Any]) -> list[str]:
    if "algorithm" in info:
        return [info["algorithm"]]
    return [name for part in parts_of(info) for name in _algorithms(part)]
