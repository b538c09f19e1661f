"""List or delete the decompositions of weights that SVF scales."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.console import table


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="what there is, and what it is of")
    actions.add_parser("clear", help="delete it all, damaged files too; it is made again when it is needed")


def run(arguments: argparse.Namespace) -> int:
    """Do the chosen action."""
    from easyedit_ice.spectra.stored import clear_spectra, spectra_folder

    if arguments.action == "clear":
        print(f"deleted {clear_spectra()} files from {spectra_folder()}")
    else:
        _list()
    return 0


def _list() -> None:
    from easyedit_ice.spectra.stored import spectra_folder, stored_spectra

    rows = [
        (
            stored.module,
            stored.decomposed.weight[:16],
            stored.decomposed.method,
            stored.decomposed.rank or "all",
            f"{stored.error:.1e}",
            f"{stored.size / 2**20:.1f}",
            stored.path.name,
        )
        for stored in stored_spectra()
    ]
    header = ("projection", "weight", "method", "singular values", "error", "MiB", "file")
    print(table(header, rows) if rows else "there are none")
    print(f"\nin {spectra_folder()}")
