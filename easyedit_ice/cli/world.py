"""Train, measure or export the embedded world."""

from __future__ import annotations

import argparse
import json


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True)
    train = actions.add_parser("train", help="train the model; a run that was stopped goes on")
    train.add_argument("folder", help="where the model goes")
    train.add_argument("--steps", type=int, default=None, help="optimiser steps; by default those of the shipped model")
    train.add_argument("--seed", type=int, default=0, help="of the data and the initial weights")
    train.add_argument("--restart", action="store_true", help="do not go on from a checkpoint")
    measure = actions.add_parser("measure", help="what a model knows of the world, as in its card")
    measure.add_argument("folder", nargs="?", help="the model; the shipped one by default")
    measure.add_argument("--share", type=float, default=1.0, help="share of the questions to ask")
    measure.add_argument("--card", action="store_true", help="write the figures into the model's card as well")
    records = actions.add_parser("records", help="write records in KnowEdit form")
    records.add_argument("file", help="JSON file to write")
    records.add_argument("--split", choices=("dev", "test"), default="test", help="which records")


def run(arguments: argparse.Namespace) -> int:
    """Do the chosen action."""
    if arguments.action == "train":
        from easyedit_ice.world.train import train

        steps = {} if arguments.steps is None else {"steps": arguments.steps}
        print(train(arguments.folder, seed=arguments.seed, resume=not arguments.restart, **steps))
    elif arguments.action == "measure":
        from easyedit_ice.world import model_path
        from easyedit_ice.world.card import write_card
        from easyedit_ice.world.measure import measure

        figures = measure(arguments.folder, share=arguments.share)
        print(json.dumps(figures, indent=2))
        if arguments.card:
            write_card(arguments.folder or model_path(), figures)
    else:
        from easyedit_ice.world import write_records

        print(write_records(arguments.file, arguments.split))
    return 0
