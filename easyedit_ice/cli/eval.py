"""Evaluate a saved edit, an adapter, or any edited model, without editing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from easyedit_ice.cli.console import table, whole_number, working
from easyedit_ice.cli.json_output import add_json, print_json
from easyedit_ice.edit.destinations import refuse_unwritable
from easyedit_ice.errors import SaveError
from easyedit_ice.runtime.untrusted import parsed_json


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--checkpoint",
        required=True,
        help="folder of a model, an update, an edit book, an adapter or a saved run; or a .gguf file",
    )
    parser.add_argument("--model", help="the unedited model; needed for updates and adapters, and to score locality")
    parser.add_argument("--other-base", action="store_true", help="allow an update that was made on another model")
    parser.add_argument("--data", default="factworld", help="a JSON file, or the name of a benchmark")
    parser.add_argument("--split", default="test", help="part of a benchmark given by name")
    parser.add_argument("--start", type=whole_number(0, 10**9), default=0, metavar="N", help="first usable record")
    parser.add_argument("--size", type=whole_number(1, 10**9), metavar="N", help="how many facts; all by default")
    parser.add_argument("--data-seed", type=whole_number(0, 2**31), metavar="N", help="draw the facts with this seed")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, or a GPU's number")
    parser.add_argument("--chat", action="store_true", help="ask in the user's turn of the model's chat template")
    parser.add_argument("--dtype", default="auto", help="type of the weights; auto keeps the checkpoint's")
    parser.add_argument(
        "--max-new-tokens", type=whole_number(1, 512), default=32, metavar="N", help="of a written answer"
    )
    parser.add_argument(
        "--teacher-forced-only", action="store_true", help="neither write answers nor compare probabilities"
    )
    add_json(parser)
    parser.add_argument(
        "--probes",
        type=lambda text: [name.strip() for name in text.split(",") if name.strip()],
        metavar="A,B",
        help="harder questions made from each record, such as choice,negation, or all (docs/probes.md)",
    )
    parser.add_argument(
        "--seed", type=whole_number(0, 2**31), default=0, metavar="N", help="of what the probes are made of"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("eval.json"),
        help="the JSON file to write; an earlier evaluation there is replaced",
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, write the file, and print the means."""
    from easyedit_ice.bench.config import DataConfig, EvaluationConfig
    from easyedit_ice.bench.running.evaluate import evaluate_checkpoint
    from easyedit_ice.evaluation.probes import chosen

    require_free(arguments.out)
    more = not arguments.teacher_forced_only
    data = DataConfig(
        source=arguments.data,
        split=arguments.split,
        start=arguments.start,
        size=arguments.size,
        seed=arguments.data_seed,
    )
    chosen(arguments.probes or ())  # unknown ones are refused before any model is loaded
    evaluation = EvaluationConfig(
        generate=more, probability=more, max_new_tokens=arguments.max_new_tokens, probes=arguments.probes or None
    )
    with working(not arguments.json):
        result = evaluate_checkpoint(
            arguments.checkpoint,
            data,
            evaluation,
            base=arguments.model,
            device=arguments.device,
            dtype=arguments.dtype,
            chat=arguments.chat,
            check_base=not arguments.other_base,
            seed=arguments.seed,
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.json:
        print_json(result)
    else:
        _show(result)
        print(f"\n{result['data']['facts']} facts; written to {arguments.out}")
    return 0


def _show(result: Mapping[str, Any]) -> None:
    """Print the means of an evaluation."""
    from easyedit_ice.evaluation.probes import PROBES

    modes = list(result["summary"])
    measures = dict.fromkeys(measure for mode in modes for measure in result["summary"][mode])
    rows = [(measure, *(_cell(result["summary"][mode].get(measure)) for mode in modes)) for measure in measures]
    print(table(("measure", *modes), rows))
    if probes := result["probes"]:
        asked = [
            (name, *(_cell(shares.get(name)) for shares in probes.values()), f"{100 * PROBES[name].chance:.0f}")
            for name in PROBES
            if name in probes["edited"]
        ]
        print(f"\n{table(('probe', *probes, 'by guessing'), asked)}")


def require_free(path: Path) -> None:
    """Refuse to write over what is no earlier evaluation.

    Raises:
        SaveError: it would be, or nothing can be written there.
    """
    refuse_unwritable(path)
    if path.exists() and not _is_evaluation(path):
        raise SaveError(f"{path} is there, and is no earlier evaluation; give another place by --out")


def _is_evaluation(path: Path) -> bool:
    try:
        return bool({"summary", "data"} <= parsed_json(path.read_text(encoding="utf-8")).keys())
    except (OSError, ValueError, AttributeError):
        return False


def _cell(interval: dict[str, Any] | None) -> str:
    return "" if interval is None else f"{100 * interval['mean']:.1f}"
