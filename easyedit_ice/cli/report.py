"""Put runs side by side: tables with intervals and tests, plots, and a page to browse every case."""

from __future__ import annotations

import argparse
from pathlib import Path

from easyedit_ice.errors import RunConfigError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run, or a folder with runs somewhere below")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where the report goes")
    parser.add_argument(
        "--anyway", action="store_true", help="also if the runs are of different models, facts or ways to measure"
    )
    parser.add_argument(
        "--label", action="append", default=[], metavar="RUN=NAME", help="name of a run in the report, by its folder"
    )
    parser.add_argument(
        "--answers",
        default="auto",
        choices=("auto", "natural", "leading"),
        help="what generated scores are of: the text up to the model's own stop, or its leading answer; auto: the "
        "former where the unedited model stops by itself",
    )
    parser.add_argument(
        "--formats", default="md,csv,tex,png,html", metavar="LIST", help="some of md,csv,tex,png,html; all by default"
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, compare, write."""
    from easyedit_ice.bench.report import compare, find_runs, read_run, write_report
    from easyedit_ice.bench.report.brief import described

    folders = find_runs(arguments.runs)
    labels = _labels(arguments.label, folders)
    runs = [read_run(folder, labels.get(folder)) for folder in folders]
    comparison = compare(runs, arguments.anyway, arguments.answers)
    for group in comparison.groups:
        print(f"compared: {described(group)}: {', '.join(run.label for run in group.runs)}")
    for difference in comparison.differences:
        print(f"not comparable, shown anyway: {difference}")
    for note in comparison.notes:
        print(f"note: {note}")
    for path in write_report(comparison, arguments.out, arguments.formats.split(",")):
        print(path)
    return 0


def _labels(pairs: list[str], folders: list[Path]) -> dict[Path, str]:
    """The names given, by folder; a folder is meant by its path or by the last part of it, either with ``=`` in it."""
    labels: dict[Path, str] = {}
    for pair in pairs:
        cuts = [place for place, character in enumerate(pair) if character == "="]
        splits = [(folder, pair[cut + 1 :]) for cut in cuts for folder in _meant(pair[:cut], folders)]
        if len(splits) != 1 or not splits[0][1]:
            raise RunConfigError(
                f"--label {pair!r} does not name one run; write RUN=NAME with RUN one of {', '.join(map(str, folders))}"
            )
        labels |= dict(splits)
    return labels


def _meant(name: str, folders: list[Path]) -> list[Path]:
    exact = [folder for folder in folders if folder.resolve() == Path(name).resolve()]
    return exact or [folder for folder in folders if folder.name == name]
