"""See what an edit would take, and which GPU has room for it, without loading the model's weights."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from easyedit_ice.cli.command_settings import MODEL_HELP, add_settings, algorithm_named, settings_for
from easyedit_ice.cli.console import table, whole_number, working
from easyedit_ice.cli.json_output import add_json, print_json
from easyedit_ice.edit.registry import ALGORITHMS

if TYPE_CHECKING:
    from easyedit_ice.planning.footprint import Footprint


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("algorithm", help=f"one of {', '.join(ALGORITHMS)}")
    parser.add_argument("--model", help=MODEL_HELP)
    add_settings(parser)
    parser.add_argument("--facts", type=whole_number(1, 10**6), default=1, metavar="N", help="edited together")
    parser.add_argument(
        "--tokens", type=whole_number(5, 10**5), default=16, metavar="N", help="of each fact, prompt and target"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the estimate."""
    from easyedit_ice import factworld
    from easyedit_ice.checkpoints.loading import load_shapes, load_tokenizer
    from easyedit_ice.errors import LoadingError
    from easyedit_ice.planning.footprint import Device, footprint

    name = arguments.model or str(factworld.model_path())
    hparams = settings_for(algorithm_named(arguments.algorithm).hparams_class, name, arguments)
    device: Device = "cpu" if hparams.device == "cpu" else "cuda"
    with working(not arguments.json):
        model = load_shapes(hparams)
        try:
            tok = load_tokenizer(hparams)
        except LoadingError:  # a config.json is enough
            tok = None
        plan = footprint(model, hparams, facts=arguments.facts, tokens=arguments.tokens, device=device, tok=tok)
    if arguments.json:
        print_json({"algorithm": arguments.algorithm, "model": name, "device": device, **asdict(plan)})
    else:
        _show(plan, device)
    return 0


def _show(plan: Footprint, device: str) -> None:
    values = asdict(plan)
    rows = [(quantity, f"{values[quantity] / 2**20:.1f}", meaning) for quantity, meaning in plan.parts().items()]
    print(table(("quantity", "MiB", "what it is"), rows))
    print(f"\nTrained values: {plan.trained:,}")
    where = "of a CPU, all in main memory" if device == "cpu" else "of the GPU"
    print(f"Peak {where}: about {plan.peak / 2**30:.2f} GiB")
    print(f"Smallest common GPU, with a tenth and 0.6 GiB to spare: {plan.gpu}")
