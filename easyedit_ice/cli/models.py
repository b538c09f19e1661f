"""List the models that need no folder, and what of GGUF is converted already; or convert one."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.cache_listing import show_cleared
from easyedit_ice.cli.console import table, working
from easyedit_ice.cli.json_output import add_json, print_json


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", nargs="?", help="a name of the list or a .gguf file, to convert now; else the list")
    parser.add_argument("--clear", action="store_true", help="delete all conversions, damaged ones too")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Delete, convert or list, in this order."""
    from easyedit_ice.checkpoints.conversion import CONVERSIONS

    if arguments.clear:
        cleared = CONVERSIONS.clear()
        if not arguments.json:
            show_cleared(cleared, CONVERSIONS.folder, "models")
    if arguments.model is not None:
        folder = _converted(arguments.model, arguments.json)
        print_json({"folder": folder}) if arguments.json else print(folder)
    elif arguments.json:
        print_json(_values())
    elif not arguments.clear:
        _list()
    return 0


def _converted(name: str, silently: bool) -> str:
    from easyedit_ice.checkpoints.names import checkpoint_of, require_known

    require_known(name)
    with working(not silently):
        return checkpoint_of(name)


def _values() -> dict[str, object]:
    from easyedit_ice.checkpoints.conversion import conversions
    from easyedit_ice.checkpoints.names import EMBEDDED
    from easyedit_ice.checkpoints.packages import PACKAGED

    embedded = {"name": EMBEDDED, "parameters": 3_228_672, "licence": "MIT", "installed": True}
    packaged = [
        {
            "name": model.name,
            "parameters": model.parameters,
            "licence": model.licence,
            "installed": not model.missing,
            "install": model.install,
        }
        for model in PACKAGED.values()
    ]
    return {"models": [embedded, *packaged], "converted": list(conversions())}


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
