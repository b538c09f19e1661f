"""What editors make and use: experts of singular values, spectra, second moments, and the embedded world."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.commands import INTERNALS, module_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare what each of them does."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="kind")
    for name, purpose in INTERNALS.items():
        below = kinds.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        module_of(name).configure(below)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    status: int = module_of(arguments.kind).run(arguments)
    return status
