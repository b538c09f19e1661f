"""Keep named edits of one model in a book: put any of them in, take them out again, ask, compare, export."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.edits import add, ask, change, export, hub, look

_PARTS = (add, look, change, ask, export, hub)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(required=True, metavar="action")
    for part in _PARTS:
        part.configure(actions)


def run(arguments: argparse.Namespace) -> int:
    """Do the chosen action."""
    status: int = arguments.act(arguments)
    return status
