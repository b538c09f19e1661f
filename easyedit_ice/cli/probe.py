"""Look at a model before you edit it: what it knows, how far it follows a new fact, and whether it stops by itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from easyedit_ice.cli.command_settings import add_threads
from easyedit_ice.cli.console import table, whole_number, working
from easyedit_ice.cli.json_output import add_json, print_json
from easyedit_ice.runtime.threads import threads

if TYPE_CHECKING:
    from easyedit_ice.evaluation.model_probe import Probe


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", help="folder or hub name; the embedded model if not given")
    parser.add_argument(
        "--data",
        help="a JSON file, or the name of a benchmark; by default 40 plain facts, and of the embedded model its world",
    )
    parser.add_argument("--split", default="test", help="part of a benchmark given by name")
    parser.add_argument(
        "--size", type=whole_number(1, 10**6), default=256, metavar="N", help="most records of the data to ask"
    )
    parser.add_argument("--chat", action="store_true", help="ask in the user's turn of the model's chat template")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, or a GPU's number")
    parser.add_argument("--dtype", default="auto", help="type of the weights; auto keeps the checkpoint's")
    add_json(parser)
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print what was found."""
    from easyedit_ice import factworld
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.data import load_records
    from easyedit_ice.edit.hparams import EditHyperParams
    from easyedit_ice.evaluation.model_probe import probe
    from easyedit_ice.text.chat import asking_for

    name = arguments.model or str(factworld.model_path())
    with threads(arguments.threads), working(not arguments.json):
        data = arguments.data or (None if arguments.model else "factworld")
        records = None if data is None else load_records(data, split=arguments.split, size=arguments.size).records
        loading = EditHyperParams(model_name=name, device=arguments.device, dtype=arguments.dtype)
        model, tok = load_model(loading)
        look = probe(model, tok, records, asking_for(tok, arguments.chat))
    if arguments.json:
        print_json(look.to_dict())
    else:
        _show(look)
    return 0


def _show(look: Probe) -> None:
    print(f"It knows {look.known} of {look.facts} facts: greedily, exactly.")
    print(
        f"Of {look.written} texts it wrote after a prompt it ended {look.stops:.0%} by itself, "
        f"and {look.leads:.0%} begin with the old answer.\n"
    )
    shares = look.followed | look.asked_otherwise
    rows = [
        (f"{shares[wording]:.0%}", "yes" if wording in look.wordings else "", wording.strip())
        for wording in sorted(shares, key=lambda wording: -shares[wording])
    ]
    told = f"of {look.told} new facts"
    print(table((told, "taken by ICE", "answered as told after this wording"), rows))
    print()
    print(table(("algorithm", "what that means"), list(look.meaning().items())))
