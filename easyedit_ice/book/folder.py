"""A book's folder: named edits in an order, switched on or off. No model is needed, and none is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from easyedit_ice.book.conflicts import Conflict, conflicts
from easyedit_ice.book.diff import Difference, difference
from easyedit_ice.book.edit_manifest import MANIFEST, NAME, Manifest
from easyedit_ice.book.edits import EDITS, Edit, save_edit
from easyedit_ice.edit.base_model import Base, require_base
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import BookError, BookInUseError
from easyedit_ice.runtime.atomic_files import remove_whole, sweep
from easyedit_ice.runtime.html import html_table

LOCK = ".lock"
_WAIT = 10.0
"""Seconds for which another process's writing is waited for."""

Names = Sequence[str] | str | None
"""Names of edits in the order in which they are applied, or one; ``None`` for those that are on."""


class BookFolder:
    """Named edits of one base model, on the disk; nothing of it is kept in memory.

    Args:
        folder: with a ``book.json``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def base(self) -> Base:
        """The model that the edits belong to."""
        return self._manifest.base

    @property
    def names(self) -> tuple[str, ...]:
        """Of all edits, in the order in which they are written into the model."""
        return self._manifest.names

    @property
    def on(self) -> tuple[str, ...]:
        """Of those that are on."""
        return tuple(entry.name for entry in self._manifest.chosen(None))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Edit:
        """One edit.

        Raises:
            BookError: there is none of that name.
        """
        entry = self._manifest.entry(name)
        return Edit(self.folder / EDITS / entry.folder, entry)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}, {len(self)} edits of {self.base.name})"

    def _repr_html_(self) -> str:
        rows = [
            (edit.name, "on" if edit.on else "off", edit.algorithm, "; ".join(fact.statement for fact in edit.facts))
            for edit in self.edits(self.names)
        ]
        caption = f"{type(self).__name__} of {self.base.name} in {self.folder}"
        return html_table(caption, ("edit", "state", "algorithm", "facts"), rows)

    def edits(self, names: Names = None) -> tuple[Edit, ...]:
        """Some edits, in this order; by default those that are on."""
        chosen = self._manifest.chosen(_tuple(names))
        return tuple(Edit(self.folder / EDITS / entry.folder, entry) for entry in chosen)

    def add(self, name: str, update: WeightUpdate, *, check_base: bool = True, overwrite: bool = False) -> Edit:
        """Write an update into the book, switched on.

        Args:
            name: of letters, digits, dots, dashes and underscores, at most 64.
            update: made on the book's base.
            check_base: refuse one that was made on other weights, or does not say on which.
            overwrite: replace the edit of that name, in its place in the order.

        Raises:
            BookError: the name is taken, or is none.
            OtherBaseError: it was made on another model.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise BookError(
                f"{name!r} is no name for an edit; write up to 64 letters, digits, dots, dashes and underscores"
            )
        with self._locked():
            manifest = self._manifest
            old = manifest.entry(name) if name in manifest.names else None
            if old is not None and not overwrite:
                raise BookError(f"the book has an edit {name!r} already; choose another name, or overwrite it")
            if check_base:
                require_base(
                    update.info, manifest.base, f"the edit {name!r}", "pass check_base=False (--other-base) to add it"
                )
            added = datetime.now(timezone.utc).isoformat(timespec="seconds")
            entry = save_edit(self.folder, name, update, on=old is None or old.on, added=added)
            manifest.with_entry(entry).save(self.folder)
            if old is not None:
                remove_whole(self.folder / EDITS / old.folder)
        return self[name]

    def remove(self, names: Sequence[str] | str) -> tuple[str, ...]:
        """Delete edits; deltas of others stay as they are.

        Returns:
            names of the edits left that were solved with one of them in the model; :meth:`replay` solves them anew.

        Raises:
            BookError: there is none of a name; nothing is deleted.
        """
        with self._locked():
            gone = self._manifest.chosen(_tuple(names))
            self._manifest.without(tuple(entry.name for entry in gone)).save(self.folder)
            for entry in gone:
                remove_whole(self.folder / EDITS / entry.folder)
        keys = {entry.folder for entry in gone}
        return tuple(edit.name for edit in self.edits(self.names) if keys & set(edit.solved_with))

    @property
    def stale(self) -> tuple[str, ...]:
        """Edits that were solved with one in the model that the book no longer has, or that is stale itself."""
        stale: list[str] = []
        sound: set[str] = set()
        for edit in self.edits(self.names):
            if set(edit.solved_with) <= sound:
                sound.add(edit.key)
            else:
                stale.append(edit.name)
        return tuple(stale)

    def switch(self, names: Names, on: bool) -> tuple[str, ...]:
        """Switch edits on or off in the book's own state; no model is touched. Returns all that are on then."""
        with self._locked():
            manifest = self._manifest
            chosen = manifest.names if (choice := _tuple(names)) is None else choice
            manifest.chosen(chosen)
            manifest.switched(chosen, on).save(self.folder)
        return self.on

    def conflicts(self, names: Names = None) -> tuple[Conflict, ...]:
        """What is wrong with having edits in one model; by default those that are on."""
        return conflicts(self.edits(names))

    def diff(self, a: str, b: str) -> Difference:
        """In what two edits differ."""
        return difference(self[a], self[b])

    @property
    def _manifest(self) -> Manifest:
        return Manifest.load(self.folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone in writing to the folder."""
        try:
            with FileLock(self.folder / LOCK, timeout=_WAIT):
                for folder in (self.folder, self.folder / EDITS):
                    sweep(folder)
                yield
        except Timeout as error:
            raise BookInUseError(
                f"{self.folder / MANIFEST} has been written to by another process for {_WAIT:.0f} s; try again"
            ) from error


def _tuple(names: Names) -> tuple[str, ...] | None:
    return (names,) if isinstance(names, str) else None if names is None else tuple(names)
