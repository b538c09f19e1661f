"""``book.json``: the base, and which edits a book has, in which order, and which of them are on.

It alone says what is in a book. It is replaced at once, after the edit it names is in place and before one it no longer
names is deleted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from easyedit_ice.edit.base_model import Base
from easyedit_ice.errors import BookDamagedError, BookError, did_you_mean
from easyedit_ice.runtime.atomic_files import write_whole
from easyedit_ice.runtime.untrusted import parsed_json

FORMAT = 1
MANIFEST = "book.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Of an edit."""
WEIGHTS, INFO = "update.safetensors", "update.json"
"""The files of an edit."""
_FOLDER = re.compile(NAME.pattern + r"-[0-9a-f]{8}")


@dataclass(frozen=True)
class Entry:
    """An edit of a book.

    Attributes:
        name: by which it is asked for.
        folder: under ``edits/``, called after its name; no other edit is ever called so.
        files: sha256 of each of its files, by name.
        on: whether it is in the models that the book makes unless others are asked for.
        added: when, in UTC.
    """

    name: str
    folder: str
    files: Mapping[str, str]
    on: bool
    added: str


@dataclass(frozen=True)
class Manifest:
    """What ``book.json`` says.

    Attributes:
        base: the model that the edits belong to.
        edits: in the order in which they are written into it.
    """

    base: Base
    edits: tuple[Entry, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of all edits."""
        return tuple(entry.name for entry in self.edits)

    def entry(self, name: str) -> Entry:
        """One edit.

        Raises:
            BookError: there is none of that name.
        """
        for entry in self.edits:
            if entry.name == name:
                return entry
        raise BookError(
            f"the book has no edit {name!r}.{did_you_mean(name, self.names)} It has: {', '.join(self.names) or 'none'}"
        )

    def chosen(self, names: tuple[str, ...] | None) -> tuple[Entry, ...]:
        """The edits of these names, in this order; by default those that are on.

        Raises:
            BookError: there is none of a name, or one is asked for twice.
        """
        if names is None:
            return tuple(entry for entry in self.edits if entry.on)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise BookError(f"{', '.join(twice)} is asked for twice; name each edit once")
        return tuple(self.entry(name) for name in names)

    def with_entry(self, entry: Entry) -> Manifest:
        """With one more edit at the end, or in the place of the one of its name."""
        if entry.name not in self.names:
            return replace(self, edits=(*self.edits, entry))
        return replace(self, edits=tuple(entry if other.name == entry.name else other for other in self.edits))

    def without(self, names: tuple[str, ...]) -> Manifest:
        """Without some edits."""
        return replace(self, edits=tuple(entry for entry in self.edits if entry.name not in names))

    def switched(self, names: tuple[str, ...], on: bool) -> Manifest:
        """With some edits switched on or off."""
        edits = tuple(replace(entry, on=on) if entry.name in names else entry for entry in self.edits)
        return replace(self, edits=edits)

    def save(self, folder: Path) -> None:
        """Write it, at once or not at all."""
        values = {"format": FORMAT, "base": asdict(self.base), "edits": [asdict(entry) for entry in self.edits]}
        write_whole(folder / MANIFEST, f"{json.dumps(values, indent=1, ensure_ascii=False)}\n".encode())

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read it.

        Raises:
            BookError: there is no book in the folder, or one of another format.
            BookDamagedError: it is not as :meth:`save` writes it.
        """
        path = folder / MANIFEST
        try:
            values = parsed_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BookError(f"{folder} holds no edit book; expected a folder with {MANIFEST}") from error
        except (OSError, ValueError) as error:
            raise _damaged(path, f"cannot be read ({error})") from error
        if isinstance(values, dict) and values.get("format", FORMAT) != FORMAT:
            raise BookError(f"{path} has format {values['format']!r}; this version reads format {FORMAT}")
        try:
            return cls(_base(values["base"]), _entries(values["edits"]))
        except (KeyError, TypeError, ValueError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise _damaged(path, f"is not as it was written: {what}") from error


def _base(values: Any) -> Base:
    base = Base(**values)
    if not all(isinstance(text, str) for text in (base.name, base.fingerprint, base.architecture)):
        raise ValueError("the base's name, fingerprint and architecture must be texts")
    return base


def _entries(values: Any) -> tuple[Entry, ...]:
    entries = tuple(_entry(value) for value in values)
    for what in ("name", "folder"):
        texts = [getattr(entry, what) for entry in entries]
        if twice := sorted({text for text in texts if texts.count(text) > 1}):
            raise ValueError(f"two edits have the {what} {twice[0]!r}")
    return entries


def _entry(value: Any) -> Entry:
    if not isinstance(value, dict) or value.keys() != {field.name for field in fields(Entry)}:
        raise ValueError(f"{value!r} is no edit")
    entry = Entry(**value)
    if not isinstance(entry.name, str) or not NAME.fullmatch(entry.name):
        raise ValueError(f"{entry.name!r} is no name of an edit")
    if not isinstance(entry.folder, str) or not _FOLDER.fullmatch(entry.folder):
        raise ValueError(f"{entry.folder!r} is no folder of an edit")
    if not isinstance(entry.files, dict) or entry.files.keys() != {WEIGHTS, INFO} or not isinstance(entry.on, bool):
        raise ValueError(f"the edit {entry.name!r} must have hashes of {WEIGHTS} and {INFO}, and be on or not")
    return entry


def _damaged(path: Path, how: str) -> BookDamagedError:
    return BookDamagedError(
        f"{path} {how}; put it back from a copy, or make a new book and add the folders under "
        f"{path.parent / 'edits'} to it"
    )
