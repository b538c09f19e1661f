"""``push`` and ``pull``: books on the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from easyedit_ice.cli.console import working
from easyedit_ice.cli.edits.shared import Actions, action, counted


def configure(actions: Actions) -> None:
    """Declare the arguments."""
    push = action(actions, "push", "upload the book to the Hugging Face Hub", _push)
    push.add_argument("book", type=Path)
    push.add_argument("repo", help="owner/name")
    push.add_argument("--public", action="store_true", help="make a new repository public")
    pull = action(actions, "pull", "download a book from the Hugging Face Hub", _pull)
    pull.add_argument("repo", help="owner/name")
    pull.add_argument("book", type=Path, help="a folder that is not there yet")
    pull.add_argument("--revision", help="branch, tag or commit")
    for parser in (push, pull):
        parser.add_argument("--token", help="by default that of $HF_TOKEN or of `hf auth login`")


def _push(arguments: argparse.Namespace) -> int:
    from easyedit_ice.book import EditBook
    from easyedit_ice.book.sharing import push

    book = EditBook.open(arguments.book)
    with working():
        address = push(book, arguments.repo, token=arguments.token, private=not arguments.public)
    print(f"{counted(len(book), 'edit')} pushed: {address}")
    return 0


def _pull(arguments: argparse.Namespace) -> int:
    from easyedit_ice.book.sharing import pull

    with working():
        book = pull(arguments.repo, arguments.book, token=arguments.token, revision=arguments.revision)
    print(f"{counted(len(book), 'edit')} of {book.base.name} in {arguments.book}")
    return 0
