"""Run methods on benchmarks: Hydra's command line, with groups algorithm, model, data, mode and evaluation."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Hand the arguments to Hydra."""
    from easyedit_ice.bench.app import main as app

    app(arguments)
    return 0
