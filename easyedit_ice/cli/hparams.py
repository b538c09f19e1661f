"""List algorithms, presets, and the meaning of every setting."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.console import table
from easyedit_ice.registry import ALGORITHMS


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("algorithm", nargs="?", help="its settings; without it, all algorithms and presets")


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or one algorithm's settings."""
    if arguments.algorithm is None:
        rows = [
            (spec.name, spec.summary, ", ".join(p.partition("/")[2] for p in spec.hparams_class.presets()))
            for spec in ALGORITHMS.values()
        ]
        print(table(("algorithm", "what it is", "presets"), rows))
    else:
        hparams = ALGORITHMS[arguments.algorithm].hparams_class
        print(table(("setting", "type", "default", "meaning"), hparams.describe()))
    return 0
