"""Which algorithm for which job, with the figures that say so and where they stand."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from easyedit_ice.cli.console import table
from easyedit_ice.cli.json_output import add_json, print_json
from easyedit_ice.editors.choosing import JOBS, choose


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--facts", metavar="FILE", help="recommend one for these facts")
    parser.add_argument("--subject", help="recommend one for a fact with a subject")
    parser.add_argument("--no-subject", action="store_true", help="recommend one for a fact without a subject")
    parser.add_argument("--stream", action="store_true", help="facts are written one after the other, and all stay")
    parser.add_argument(
        "--for", dest="job", metavar="JOB", help=f"what matters: {', '.join(entry.name for entry in JOBS)}"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the table, or one recommendation."""
    facts = _facts(arguments)
    wanted = arguments.job or ("stream" if arguments.stream else None)
    if facts is None and wanted is None:
        if arguments.json:
            print_json(JOBS)
        else:
            print(table(("--for", "job", "take", "why", "from"), [_row(job) for job in JOBS]))
        return 0
    choice = choose(facts or [{"subject": "any"}], wanted=wanted)
    if arguments.json:
        print_json(choice)
    else:
        print(f"{choice.algorithm}, for {choice.what}: {choice.why} ({choice.doc})")
    return 0


def _row(job: Any) -> tuple[str, ...]:
    return job.name, job.what, job.algorithm, job.why, job.doc


def _facts(arguments: argparse.Namespace) -> Sequence[Mapping[str, Any]] | None:
    if arguments.facts:
        from easyedit_ice.data.fact_files import read_facts

        return read_facts(arguments.facts)
    if arguments.subject or arguments.no_subject:
        return [{"subject": arguments.subject}]
    return None
