"""What is said of a command that Ctrl-C ended: what there is of it now."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from easyedit_ice.errors import EasyEditIceError

_LOOKED = "nothing was changed"


def told(command: str, arguments: argparse.Namespace | None) -> str:
    """What is kept.

    Args:
        command: that was interrupted.
        arguments: that it was given; none if they were not read yet, or are Hydra's.
    """
    what = _KEPT.get(command, _LOOKED)
    return what if isinstance(what, str) else what(arguments) if arguments is not None else _LOOKED


def _of_an_edit(arguments: argparse.Namespace) -> str:
    places = (arguments.save, arguments.save_model, arguments.save_gguf)
    there = [place for place in places if place and Path(place).exists()]
    rest = f"{', '.join(there)} is whole" if there else "nothing was saved"
    return f"the model on disk is as it was, and {rest}"


def _of_a_book(arguments: argparse.Namespace) -> str:
    """The state of the book now, whatever was being done with it."""
    from easyedit_ice.book import EditBook

    try:
        book = EditBook.open(arguments.book)
    except (EasyEditIceError, OSError):
        return f"{arguments.book} holds no book, and the model on disk is as it was"
    edits = ", ".join(f"{name}{'' if name in book.on else ' (off)'}" for name in book.names)
    return f"the book {arguments.book} is whole and has {edits or 'no edit'}; the model on disk is as it was"


_KEPT: dict[str, str | Callable[[argparse.Namespace], str]] = {
    "edit": _of_an_edit,
    "edits": _of_a_book,
    "run": "the facts that were done are kept, and the same command goes on after them",
    "report": "the report may lack files; the same command writes all of them",
    "eval": "no evaluation was written",
    "demo": "the model on disk is as it was",
    "models": "what was converted before is kept, and nothing half-made is left",
    "probe": "nothing was changed; answers that were found are kept in the cache, and the next probe goes on from them",
    "stats": "second moments that were finished are kept",
    "experts": "experts that were saved before are as they were",
    "world": "a training goes on from its last checkpoint by the same command",
    "internals": "what was finished before is kept",
}
"""By command; of others nothing is there to be kept."""
