"""``add``: facts, or a saved update, into a book."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyedit_ice.cli.command_settings import MODEL_HELP, add_settings, add_threads, algorithm_named, settings_for
from easyedit_ice.cli.console import working
from easyedit_ice.cli.edits.shared import Actions, action, add_overwrite
from easyedit_ice.cli.status import DONE, MISSED
from easyedit_ice.errors import BookError
from easyedit_ice.runtime.threads import threads

if TYPE_CHECKING:
    from easyedit_ice.book import Edit, EditBook


def configure(actions: Actions) -> None:
    """Declare the arguments."""
    add = action(actions, "add", "add an edit: facts, which are solved now, or an update that was saved", run)
    add.add_argument("book", type=Path, help="folder of the book; made if it is not there")
    add.add_argument("name", help="of the edit")
    add.add_argument("--update", metavar="FOLDER", help="a saved update, as of `easyedit-ice edit --save`")
    add.add_argument("--facts", metavar="FILE", help="facts in a file: JSON, JSON lines, CSV or TSV")
    add.add_argument("--each", action="store_true", help="make an edit of each fact of the file: NAME-1, NAME-2, …")
    add.add_argument("--prompt", help="text the target shall follow")
    add.add_argument("--target", help="what shall follow the prompt")
    add.add_argument("--subject", help="what the fact is about, as spelt in the prompt")
    add.add_argument("--algorithm", help="by default the one for so many facts, with or without subjects")
    add_settings(add)
    add.add_argument("--model", help=MODEL_HELP)
    add.add_argument("--device", default="cpu", help="cpu, cuda:0, or a GPU's number")
    add.add_argument("--chat", action="store_true", help="edit in the user's turn of the model's chat template")
    add.add_argument("--other-base", action="store_true", help="allow a model, or an update, of other weights")
    add_threads(add)
    add_overwrite(add, "the edit of that name")


def run(arguments: argparse.Namespace) -> int:
    """Add, and say what came of it: 3 if a fact is not written."""
    with _no_empty_book_left(arguments.book):
        return _add(arguments)


def _add(arguments: argparse.Namespace) -> int:
    from easyedit_ice.edit.update import WeightUpdate

    facts = _facts(arguments)
    if facts is None:
        update = WeightUpdate.load(arguments.update)
        options = {"check_base": not arguments.other_base, "overwrite": arguments.overwrite}
        return _said(book := _book(arguments, None), [book.add(arguments.name, update, **options)])
    groups = {f"{arguments.name}-{n}": [fact] for n, fact in enumerate(facts, 1)} if arguments.each else None
    with threads(arguments.threads):
        return _solve(arguments, groups or {arguments.name: facts})


def _solve(arguments: argparse.Namespace, groups: dict[str, list[Any]]) -> int:
    from easyedit_ice.book import EditBook
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.checkpoints.names import EMBEDDED
    from easyedit_ice.editors.choosing import choose

    name = arguments.model or (EditBook.open(arguments.book).base.name if _is_book(arguments.book) else EMBEDDED)
    facts = next(iter(groups.values()))
    algorithm = arguments.algorithm or choose(facts).algorithm
    hparams = settings_for(algorithm_named(algorithm).hparams_class, name, arguments)
    hparams = hparams.replace(chat=hparams.chat or arguments.chat, device=arguments.device)
    with working():
        model, tok = load_model(hparams)
    book = _book(arguments, (model, name))
    options = {"check_base": not arguments.other_base, "overwrite": arguments.overwrite}
    status = DONE
    for group, members in groups.items():
        with working():
            edit = book.add_facts(group, model, tok, members, hparams, **options)
        status = max(status, _said(book, [edit]))
    return status


def _facts(arguments: argparse.Namespace) -> list[dict[str, Any]] | None:
    """As request dicts; none if an update was given."""
    sources = [arguments.update, arguments.facts, arguments.prompt]
    if sum(value is not None for value in sources) != 1:
        raise BookError("what to add is not clear: give one of --update FOLDER, --facts FILE, --prompt with --target")
    if arguments.each and arguments.facts is None:
        raise BookError("--each goes with --facts FILE")
    if arguments.prompt is not None:
        return [{"prompt": arguments.prompt, "target_new": arguments.target, "subject": arguments.subject}]
    if arguments.facts is None:
        return None
    from easyedit_ice.data.fact_files import read_facts

    return read_facts(arguments.facts)


def _book(arguments: argparse.Namespace, base: tuple[Any, str] | None) -> EditBook:
    """The book that is there, or a new one."""
    from easyedit_ice.book import EditBook
    from easyedit_ice.book.places import recorded
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.checkpoints.names import EMBEDDED
    from easyedit_ice.edit.hparams import EditHyperParams

    if _is_book(arguments.book):
        return EditBook.open(arguments.book)
    if base is None:
        name = arguments.model or EMBEDDED
        with working():
            base = load_model(EditHyperParams(model_name=name, device=arguments.device))[0], name
    return EditBook.create(arguments.book, base[0], name=recorded(base[1]))


@contextmanager
def _no_empty_book_left(folder: Path) -> Iterator[None]:
    """Take a book away again that was made for nothing."""
    from easyedit_ice.book import EditBook
    from easyedit_ice.runtime.atomic_files import remove_whole

    there = folder.exists()
    try:
        yield
    except BaseException:
        if not there and _is_book(folder) and not len(EditBook.open(folder)):
            remove_whole(folder)
        raise


def _is_book(folder: Path) -> bool:
    from easyedit_ice.book.edit_manifest import MANIFEST

    return (folder / MANIFEST).exists()


def _said(book: EditBook, edits: Sequence[Edit]) -> int:
    """Print what was added; the status."""
    missed = False
    for edit in edits:
        verdict = edit.verdict or {"took": True, "figures": [], "warnings": []}
        told = "; ".join([*(f"{name}: {value}" for name, value in verdict["figures"]), *verdict["warnings"]])
        print(f"{edit.name}: {edit.algorithm}{', ' if told else ''}{told}")
        if not verdict["took"]:
            missed = True
            print(f"  It is NOT written as a whole; `easyedit-ice edits show {book.folder} {edit.name}` says more.")
        for conflict in book.conflicts():
            if edit.name in conflict.edits:
                print(f"  {conflict.kind}: {conflict}")
    return MISSED if missed else DONE
