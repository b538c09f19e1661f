"""Run methods on benchmarks: Hydra's command line, with groups algorithm, model, data, mode and evaluation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from easyedit_ice.errors import IncomparableRunsError


def main(arguments: Sequence[str]) -> int:
    """Hand the arguments to Hydra, and print what was found."""
    from easyedit_ice.bench.app import main as app
    from easyedit_ice.bench.shards import Process

    folder = app(arguments)
    if folder is not None and "verbosity=quiet" not in arguments and Process.current().index == 0:
        _show(folder)
    return 0


def _show(folder: Path) -> None:
    """The main table of the run, or of each mode of a sweep."""
    from easyedit_ice.bench.report import compare, find_runs, read_run
    from easyedit_ice.bench.report.analysis import analyse
    from easyedit_ice.bench.report.brief import brief
    from easyedit_ice.cli.console import table

    try:
        found = analyse(compare([read_run(run) for run in find_runs([folder])]))
    except IncomparableRunsError as error:
        sys.stderr.write(f"no table: {error}\n")
        return
    for results in found:
        title, header, rows = brief(results)
        print(f"\n{title}\n\n{table(header, rows)}")
    print(f"\nAll of it, with every answer: easyedit-ice report {folder} --out report")
