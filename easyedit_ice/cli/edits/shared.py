"""Arguments that several actions have, and what is said by several."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from easyedit_ice.cli.console import working
from easyedit_ice.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import nn

    from easyedit_ice.book import EditBook

Actions = Any
"""What ``add_subparsers`` returns."""


def action(actions: Actions, name: str, purpose: str, act: Any) -> argparse.ArgumentParser:
    """Declare an action on a book."""
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=purpose, description=purpose[0].upper() + purpose[1:] + "."
    )
    parser.set_defaults(act=act)
    return parser


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declare what loads the book's base."""
    parser.add_argument("--model", help="the base, if it is elsewhere than the book says")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, or a GPU's number")
    parser.add_argument("--other-base", action="store_true", help="allow a model, or an edit, of other weights")


def add_subset(parser: argparse.ArgumentParser) -> None:
    """Declare which edits are meant; by default those that are on."""
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these edits in this order, on or not")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME", help="not these")
    parser.add_argument("--allow-conflicts", action="store_true", help="also edits that contradict each other")


def add_overwrite(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare ``--overwrite``."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace {what}")


def subset(book: EditBook, arguments: argparse.Namespace) -> tuple[str, ...]:
    """Names of the edits that are meant."""
    names = book.on if arguments.only is None else tuple(arguments.only)
    for name in (*names, *arguments.without):
        book[name]
    return tuple(name for name in names if name not in arguments.without)


def checks(arguments: argparse.Namespace) -> dict[str, bool]:
    """What is not refused, for methods of a book."""
    return {"check_base": not arguments.other_base, "allow_conflicts": arguments.allow_conflicts}


def load_base(book: EditBook, arguments: argparse.Namespace, *, shown: bool = True) -> tuple[nn.Module, Tokenizer]:
    """The book's base and its tokenizer."""
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.edit.hparams import EditHyperParams

    with working(shown):
        return load_model(EditHyperParams(model_name=arguments.model or book.base.name, device=arguments.device))


def say_kept(book: EditBook, names: tuple[str, ...]) -> None:
    """Say of which edits the deltas are kept although they were solved with one that is left out."""
    keys = {book[name].key: name for name in book.names}
    chosen = {book[name].key for name in names}
    by_absent: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        absent = tuple(keys.get(key, f"{key} (removed)") for key in book[name].solved_with if key not in chosen)
        if absent:
            by_absent.setdefault(absent, []).append(name)
    for absent, edits in by_absent.items():
        print(f"solved with {', '.join(absent)} in the model, and kept as it is without: {', '.join(edits)}")


def counted(number: int, what: str) -> str:
    """``1 edit``, ``2 edits``."""
    return f"{number} {what}{'' if number == 1 else 's'}"
