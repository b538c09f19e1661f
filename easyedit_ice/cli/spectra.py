"""List or delete the decompositions of weights that SVF scales."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.cache_listing import mebibytes, show_cleared, show_entries
from easyedit_ice.cli.json_output import add_json


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True)
    add_json(actions.add_parser("list", help="what there is, and what it is of"))
    actions.add_parser("clear", help="delete it all, damaged files too; it is made again when it is needed")


def run(arguments: argparse.Namespace) -> int:
    """Do the chosen action."""
    from easyedit_ice.precompute.spectrum_store import SPECTRA

    if arguments.action == "clear":
        show_cleared(SPECTRA.clear(), SPECTRA.folder)
        return 0
    rows = [
        (
            entry.about.module,
            entry.about.decomposed.weight[:16],
            entry.about.decomposed.method,
            entry.about.decomposed.rank or "all",
            f"{entry.about.error:.1e}",
            mebibytes(entry.size),
            entry.path.name,
        )
        for entry in SPECTRA.entries()
    ]
    header = ("projection", "weight", "method", "singular values", "error", "MiB", "file")
    show_entries(header, rows, SPECTRA.folder, as_json=arguments.json)
    return 0
