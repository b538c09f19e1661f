"""List algorithms, presets, and the meaning of every setting."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.console import table
from easyedit_ice.hparams import EditHyperParams
from easyedit_ice.registry import ALGORITHMS


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("algorithm", nargs="?", help="its settings; without it, all algorithms and presets")


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or one algorithm's settings."""
    if arguments.algorithm is None:
        rows = [(spec.name, spec.summary, ", ".join(_presets(spec.hparams_class))) for spec in ALGORITHMS.values()]
        print(table(("algorithm", "what it is", "presets"), rows))
        for name, why in ALGORITHMS.broken.items():
            print(f"\nLeft out: {name} of another package: {why}")
        print("\nThe settings of one: easyedit-ice hparams ALGORITHM")
    else:
        hparams_class = ALGORITHMS[arguments.algorithm].hparams_class
        print(table(("setting", "type", "default", "meaning"), hparams_class.describe()))
        print(f"\nPresets: {', '.join(_presets(hparams_class))}")
    return 0


def _presets(hparams_class: type[EditHyperParams]) -> list[str]:
    return [preset.partition("/")[2] for preset in hparams_class.presets()]
