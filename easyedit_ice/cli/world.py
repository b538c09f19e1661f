"""Train, measure or export the embedded world, or a testbed for a file of records."""

from __future__ import annotations

import argparse
from typing import Any

from easyedit_ice.cli.console import working
from easyedit_ice.cli.json_output import add_json, print_json

_FACTS = "a file of records: the model is a testbed that knows their original answers"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True)
    train = actions.add_parser("train", help="train the model, or a testbed; a run that was stopped goes on")
    train.add_argument("folder", help="where the model goes; the name of a testbed's must hold 'gpt2'")
    train.add_argument("--facts", metavar="FILE", help=_FACTS)
    train.add_argument("--steps", type=int, default=None, help="optimiser steps; by default those of the shipped model")
    train.add_argument("--seed", type=int, default=0, help="of the data and the initial weights")
    train.add_argument("--restart", action="store_true", help="do not go on from a checkpoint")
    measure = actions.add_parser("measure", help="what a model knows of its world, as in its card")
    measure.add_argument("folder", nargs="?", help="the model; the shipped one by default")
    measure.add_argument("--facts", metavar="FILE", help=_FACTS)
    measure.add_argument("--share", type=float, default=1.0, help="share of the questions to ask")
    measure.add_argument("--card", action="store_true", help="write the figures into the model's card as well")
    records = actions.add_parser("records", help="write records in KnowEdit form")
    records.add_argument("file", help="JSON file to write")
    records.add_argument("--split", choices=("dev", "test"), default="test", help="which records")
    records.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    testbed = actions.add_parser("testbed", help="the folder of a file's testbed, built where there is none yet")
    testbed.add_argument("file", help="the records it is for")
    facts = actions.add_parser("facts", help="what a testbed for a file would know, and what it leaves out")
    facts.add_argument("file", help="the records")
    for shows in (measure, facts):
        add_json(shows)


def run(arguments: argparse.Namespace) -> int:
    """Do the chosen action."""
    if arguments.action == "train":
        print(_train(arguments))
    elif arguments.action == "measure":
        with working(not arguments.json):
            figures = _measure(arguments)
        print_json(figures)
    elif arguments.action == "testbed":
        from easyedit_ice.testbed import testbed

        print(testbed(arguments.file))
    elif arguments.action == "facts":
        _show_facts(arguments.file, arguments.json)
    else:
        from easyedit_ice.edit.destinations import refuse_existing
        from easyedit_ice.factworld import write_records

        refuse_existing(arguments.file, arguments.overwrite)
        print(write_records(arguments.file, arguments.split))
    return 0


def _train(arguments: argparse.Namespace) -> Any:
    course: dict[str, Any] = {"seed": arguments.seed, "resume": not arguments.restart}
    course |= {} if arguments.steps is None else {"steps": arguments.steps}
    if arguments.facts is None:
        from easyedit_ice.factworld.training.train_world import train

        return train(arguments.folder, **course)
    from easyedit_ice.data import load_records
    from easyedit_ice.testbed import build

    return build(load_records(arguments.facts), arguments.folder, **course)


def _measure(arguments: argparse.Namespace) -> dict[str, Any]:
    from easyedit_ice.factworld import model_path

    folder = arguments.folder or model_path()
    if arguments.facts is None:
        from easyedit_ice.factworld.training.model_card import write_card
        from easyedit_ice.factworld.training.recall import measure

        figures = measure(folder, share=arguments.share)
        if arguments.card:
            write_card(folder, figures)
        return figures
    from easyedit_ice.data import load_records
    from easyedit_ice.testbed import measure_testbed
    from easyedit_ice.testbed.testbed_card import write_testbed_card

    records = load_records(arguments.facts)
    figures = measure_testbed(folder, records, share=arguments.share)
    if arguments.card:
        write_testbed_card(folder, records, figures)
    return figures


def _show_facts(file: str, as_json: bool) -> None:
    from easyedit_ice.data import load_records
    from easyedit_ice.testbed import gather

    knowledge = gather(load_records(file))
    if as_json:
        print_json({"prompts": knowledge.counts(), "notes": knowledge.notes})
        return
    for source, count in knowledge.counts().items():
        print(f"{source}: {count} prompts")
    print(*knowledge.notes, sep="\n")
