"""``apply``, ``undo`` and ``remove``: which edits are on, and which are there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from easyedit_ice.cli.console import working
from easyedit_ice.cli.edits.shared import Actions, action, add_model, add_overwrite, counted, load_base, say_kept
from easyedit_ice.cli.status import MISSED
from easyedit_ice.errors import BookConflictError

if TYPE_CHECKING:
    from easyedit_ice.book import EditBook


def configure(actions: Actions) -> None:
    """Declare the arguments."""
    apply = action(actions, "apply", "switch edits on, and write the model that has all that are on", _apply)
    apply.add_argument("book", type=Path)
    apply.add_argument("names", nargs="*", metavar="name", help="all by default")
    apply.add_argument("--save-model", metavar="FOLDER", help="write the edited model there")
    apply.add_argument("--allow-conflicts", action="store_true", help="also edits that contradict each other")
    add_model(apply)
    add_overwrite(apply, "a model that was written there before")
    undo = action(actions, "undo", "switch edits off; they stay in the book", _undo)
    undo.add_argument("book", type=Path)
    undo.add_argument("names", nargs="*", metavar="name", help="all by default")
    remove = action(actions, "remove", "delete edits from the book", _remove)
    remove.add_argument("book", type=Path)
    remove.add_argument("names", nargs="*", metavar="name")
    remove.add_argument(
        "--replay", action="store_true", help="solve those anew that were solved with a deleted edit in the model"
    )
    add_model(remove)


def _apply(arguments: argparse.Namespace) -> int:
    from easyedit_ice.book import EditBook
    from easyedit_ice.book.book_export import export_hf
    from easyedit_ice.book.conflicts import contradictions

    book = EditBook.open(arguments.book)
    wanted = arguments.names or book.names
    for name in wanted:
        book[name]
    after = tuple(name for name in book.names if name in wanted or name in book.on)
    if not arguments.allow_conflicts and (conflicts := contradictions(book.edits(after))):
        raise BookConflictError(f"{'; '.join(map(str, conflicts))}; undo one of them, or pass --allow-conflicts")
    for conflict in book.conflicts(after):
        print(f"{conflict.kind}: {conflict}")
    if arguments.save_model:
        model, tok = load_base(book, arguments)
        options = {
            "check_base": not arguments.other_base,
            "allow_conflicts": True,
            "overwrite": arguments.overwrite,
        }
        with working():
            export_hf(book, model, tok, arguments.save_model, after, **options)
    book.switch(wanted, True)
    _say_state(book)
    if arguments.save_model:
        print(f"The model with {counted(len(after), 'edit')} is in {arguments.save_model}")
    return 0


def _undo(arguments: argparse.Namespace) -> int:
    from easyedit_ice.book import EditBook

    book = EditBook.open(arguments.book)
    book.switch(arguments.names or None, False)
    _say_state(book)
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from easyedit_ice.book import EditBook

    book = EditBook.open(arguments.book)
    book.remove(arguments.names)
    print(f"removed {', '.join(arguments.names) or 'nothing'}; {counted(len(book), 'edit')} left")
    if not arguments.replay:
        say_kept(book, book.names)
        return 0
    if not book.stale:
        print("No other edit was solved with one that is gone: there is nothing to replay.")
        return 0
    model, tok = load_base(book, arguments)
    with working():
        done = list(book.replay(model, tok, check_base=not arguments.other_base))
    for name in done:
        verdict = book[name].verdict
        print(f"{name} was solved anew: {'written' if verdict and verdict['took'] else 'NOT written as a whole'}")
    return 0 if all((book[name].verdict or {}).get("took") for name in done) else MISSED


def _say_state(book: EditBook) -> None:
    print(f"on: {', '.join(book.on) or 'none'}")
    if off := [name for name in book.names if name not in book.on]:
        print(f"off: {', '.join(off)}")
    say_kept(book, book.on)
