"""Run methods on benchmarks: Hydra's command line, with groups algorithm, model, data, mode and evaluation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from easyedit_ice.cli.overrides import as_overrides
from easyedit_ice.cli.watching import on_a_terminal, watching
from easyedit_ice.errors import IncomparableRunsError, RunConfigError


def main(arguments: Sequence[str]) -> int:
    """Hand the arguments to Hydra, and print what was found."""
    from easyedit_ice.bench.app import main as app
    from easyedit_ice.bench.app import with_usual_names
    from easyedit_ice.bench.reviewer import is_asked, review
    from easyedit_ice.bench.running.shards import Process

    arguments = as_overrides(arguments)
    quiet = [argument for argument in arguments if argument.startswith("verbosity=")][-1:] == ["verbosity=quiet"]
    named, notes = with_usual_names(arguments)
    if not quiet:
        sys.stderr.writelines(f"note: {note}\n" for note in notes)
    try:
        with watching(not quiet) if on_a_terminal() else nullcontext():
            folder = review(named, _silent if quiet else _note) if is_asked(named) else app(named)
    except RunConfigError as error:
        raise _with_the_key_meant(error) from error
    if folder is not None and not quiet and Process.current().index == 0:
        _show(folder)
    return 0


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _silent(text: str) -> None:
    """Say nothing."""


def _with_the_key_meant(error: RunConfigError) -> RunConfigError:
    """Of a group that has no such choice, the key by which anything else is named."""
    for group, key in (("model", "model.name"), ("data", "data.source")):
        if str(error).startswith(f"{group} is "):
            return type(error)(f"{error}. Any other is named by {key}=...")
    return error


def _show(folder: Path) -> None:
    """The main table of the run, or of each mode of a sweep."""
    from easyedit_ice.bench.report import compare, find_runs, read_run
    from easyedit_ice.bench.report.analysis import analyse
    from easyedit_ice.bench.report.brief import brief
    from easyedit_ice.bench.report.survival import survival
    from easyedit_ice.cli.console import table

    try:
        modes = analyse(compare([read_run(run) for run in find_runs([folder])]))
    except IncomparableRunsError as error:
        sys.stderr.write(f"no table: {error}\n")
        return
    survived = survival(modes)
    if survived is not None:
        print("\n".join(("", survived.first, *(f"  {sentence}" for sentence in survived.sentences))))
    for results in (results for results in modes if results.scored):
        shown = brief(results)
        print(f"\n{shown.title}\n\n{table(shown.header, shown.rows)}\n\n{shown.note}")
    page = folder / "report" / "report.html"
    print(f"\nAll of it, with every answer: {page if page.is_file() else f'easyedit-ice report {folder} --out report'}")
