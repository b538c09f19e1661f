"""Measure, list or delete the second moments that closed-form editors and protection need."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from easyedit_ice.cli.cache_listing import mebibytes, show_cleared, show_entries
from easyedit_ice.cli.command_settings import MODEL_HELP, add_settings, algorithm_named, settings_for
from easyedit_ice.cli.console import table, working
from easyedit_ice.cli.json_output import add_json
from easyedit_ice.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import nn


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True)
    compute = actions.add_parser(
        "compute",
        help="measure what is not there yet; of several processes (`accelerate launch`, on CPUs `torchrun`) each "
        "takes a share of the text",
    )
    compute.add_argument("--model", help=MODEL_HELP)
    compute.add_argument("--algorithm", default="FastMEMIT", help="whose layers and settings; one that needs them")
    add_settings(compute)
    compute.add_argument(
        "--for",
        dest="method",
        metavar="METHOD",
        help="put them where this method of EasyEdit looks for its own: MEMIT, ROME, EMMET, PMET, AlphaEdit",
    )
    compute.add_argument(
        "--for-hparams", metavar="FILE", help="settings of that method, a file or preset; by default the model's preset"
    )
    add_json(actions.add_parser("list", help="what there is, and what it was measured on"))
    actions.add_parser("clear", help="delete it all, damaged files too, and the texts that models wrote for it")


def run(arguments: argparse.Namespace) -> int:
    """Do the chosen action."""
    if arguments.action == "compute":
        return _compute(arguments)
    from easyedit_ice.precompute.moment_store import MOMENTS
    from easyedit_ice.precompute.own_corpus import OWN_TEXTS

    if arguments.action == "clear":
        show_cleared(MOMENTS.clear() + OWN_TEXTS.clear(), MOMENTS.folder.parent)
    else:
        _list(arguments.json)
    return 0


def _compute(arguments: argparse.Namespace) -> int:
    from easyedit_ice import factworld
    from easyedit_ice.checkpoints.loading import load_model
    from easyedit_ice.precompute.moments import moments
    from easyedit_ice.runtime.distributed import Share

    name = arguments.model or str(factworld.model_path())
    algorithm = algorithm_named(arguments.algorithm)
    hparams = settings_for(algorithm.hparams_class, name, arguments)
    share = Share.current()
    with working(share.index == 0):
        model, tok = load_model(hparams)
        names, measuring = algorithm.moments_needed(model, hparams)
        result = moments(model, tok, names, measuring, share)
        files = _handed_over(model, tok, arguments, measuring) if share.index == 0 else []
    if share.index == 0:
        rows = [(path, f"{len(moment)} x {len(moment)}", tokens) for path, (moment, tokens) in result.items()]
        print(table(("projection", "second moment", "tokens"), rows))
        for file in files:
            print(f"{arguments.method} of EasyEdit will find {file}")
    return 0


def _handed_over(model: nn.Module, tok: Tokenizer, arguments: argparse.Namespace, measuring: Any) -> list[Any]:
    if arguments.method is None:
        return []
    from easyedit_ice.easyedit import base_editor
    from easyedit_ice.easyedit.methods.host_settings import host_settings
    from easyedit_ice.easyedit.moment_files import hand_over
    from easyedit_ice.model.anatomy import ModelAnatomy

    base_editor()
    preset = arguments.for_hparams or (arguments.model or "gpt2-factworld").rstrip("/").rpartition("/")[2]
    return hand_over(model, tok, host_settings(arguments.method, preset, {}, ModelAnatomy(model)), measuring)


def _list(as_json: bool) -> None:
    from easyedit_ice.precompute.moment_store import MOMENTS

    rows = [
        (
            entry.about.origin.model.rstrip("/").rpartition("/")[2],
            entry.about.origin.module,
            entry.about.origin.text,
            entry.about.counted,
            entry.about.origin.dtype,
            mebibytes(entry.size),
            entry.path.name,
        )
        for entry in MOMENTS.entries()
    ]
    header = ("model", "projection", "text", "tokens", "type", "MiB", "file")
    show_entries(header, rows, MOMENTS.folder, as_json=as_json)
