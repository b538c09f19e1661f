"""Edits of a workbench in an edit book, and those of a book on a workbench."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from easyedit_ice.book import Edit, EditBook
from easyedit_ice.book.edit_manifest import MANIFEST
from easyedit_ice.book.places import recorded
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import BookError
from easyedit_ice.ui.workbench import KeptEdit, Workbench


def is_book(folder: str | Path) -> bool:
    """Whether a folder holds an edit book."""
    return (Path(folder).expanduser() / MANIFEST).exists()


def open_book(bench: Workbench, folder: str | Path) -> EditBook:
    """Have a book's edits on the workbench, and those in the model that are on.

    Raises:
        BookError: the folder holds no book, or it is damaged.
        OtherBaseError: it is of another model.
    """
    book = EditBook.open(Path(folder).expanduser())
    names = {edit.key: edit.name for edit in book.edits(book.names)}
    with bench.alone():
        book.require_base(bench.model)
        bench.adopt([_of_a_book(edit, names) for edit in book.edits(book.names)])
        bench.hold(book.on)
    return book


def keep(bench: Workbench, folder: str | Path) -> tuple[str, ...]:
    """Write the edits that are in the model, and those they were made with, into a book; made if it is not there.

    Edits of the workbench that the book has are switched on and off as they are in the model.

    Returns:
        names of those that were written.

    Raises:
        BookError: the model has no edit; or the book has other edits of these names.
        OtherBaseError: the book is of another model.
    """
    with bench.alone():
        return _keep(bench, Path(folder).expanduser())


def _keep(bench: Workbench, place: Path) -> tuple[str, ...]:
    if not bench.within:
        raise BookError("the model has no edit in it, so there is nothing to keep; edit a fact first")
    with bench.bare() as model:
        book = EditBook.open(place) if is_book(place) else EditBook.create(place, model, name=recorded(bench.name))
        book.require_base(model)
    new = [edit for edit in _needed(bench) if edit.key is None]
    if taken := [edit.name for edit in new if edit.name in book]:
        raise BookError(f"{place} has an edit {taken[0]!r} of its own; give another folder, or open that book first")
    keys = {edit.name: edit.key for edit in bench.edits if edit.key is not None}
    for edit in new:
        keys[edit.name] = book.add(edit.name, _for_a_book(bench, edit, keys)).key
        bench.adopt([replace(edit, key=keys[edit.name])])
    follow(bench, book)
    return tuple(edit.name for edit in new)


def follow(bench: Workbench, book: EditBook) -> None:
    """Switch a book's edits on and off as they are in the model; those that the workbench does not have stay."""
    names = [edit.name for edit in bench.edits if edit.name in book and edit.key == book[edit.name].key]
    for on in (True, False):
        chosen = [name for name in names if (name in bench.within) is on]
        if chosen and any((name in book.on) is not on for name in chosen):
            book.switch(chosen, on)


def _of_a_book(edit: Edit, names: Mapping[str, str]) -> KeptEdit:
    """An edit as the workbench has it.

    Args:
        edit: of the book.
        names: of the book's edits, by key.
    """
    return KeptEdit(
        edit.name,
        edit.facts,
        edit.update,
        edit.algorithm,
        None if edit.verdict is None else dict(edit.verdict),
        tuple(names.get(key, key) for key in edit.solved_with),
        edit.key,
    )


def _needed(bench: Workbench) -> Iterator[KeptEdit]:
    """Those that are in the model, and what they were made with, in the order in which they were made."""
    needed, waiting = set(), list(bench.within)
    there = {edit.name for edit in bench.edits}
    while waiting:
        name = waiting.pop()
        if name in there and name not in needed:
            needed.add(name)
            waiting += bench[name].made_with
    return (edit for edit in bench.edits if edit.name in needed)


def _for_a_book(bench: Workbench, edit: KeptEdit, keys: Mapping[str, str]) -> WeightUpdate:
    """The update, with what a book wants to know of how it was made."""
    info = edit.update.info
    notes = {
        "solved_on": info["base"]["fingerprint"],
        "base": asdict(bench.base),
        "solved_with": [keys.get(name, name) for name in edit.made_with],
        "verdict": edit.verdict,
    }
    return replace(edit.update, info=info | notes)
