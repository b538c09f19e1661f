"""Methods on the embedded world: single edits of test facts, scored on every probe, with intervals.

Methods of this package and of EasyEdit run by the same loop through EasyEdit's own table of algorithms.

    python benchmarks/factworld.py --facts 200 --out benchmarks/results/factworld_release
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from single_edits import Result, score

from easyedit_ice import ALGORITHMS, BaseEditor, world
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.evaluation import Interval
from easyedit_ice.host import host_info, import_easyeditor

HOST_SETTINGS = Path(__file__).parent.parent / "examples" / "hparams"
METHODS = ("FT", "ROME", "LoRA-BF", "ICE-LoRA")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--facts", type=int, default=200)
    parser.add_argument("--split", default="test")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="written as OUT.json and OUT.md")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    requests = to_requests(load_records("factworld", split=arguments.split, size=arguments.facts))
    results = {method: _run(method, requests) for method in arguments.methods}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".json").write_text(json.dumps(_plain(results, len(requests)), indent=1))
    arguments.out.with_suffix(".md").write_text(_markdown(results, len(requests)))
    print(arguments.out.with_suffix(".md").read_text())


def _run(method: str, requests: Sequence[dict[str, Any]]) -> Result:
    editor = BaseEditor.from_hparams(_hparams(method))
    return score(editor.model, editor.tok, requests, _apply(editor), method)


def _hparams(method: str) -> Any:
    path = str(world.model_path())
    if method in ALGORITHMS:
        return ALGORITHMS[method].hparams_class.from_hparams(f"{method}/gpt2-factworld", model_name=path)
    hparams = getattr(import_easyeditor(), f"{method}HyperParams").from_hparams(
        str(HOST_SETTINGS / method / "gpt2-factworld.yaml")
    )
    hparams.model_name = path
    return hparams


def _apply(editor: Any) -> Callable[[dict[str, Any]], dict[str, torch.Tensor]]:
    def apply(request: dict[str, Any]) -> dict[str, torch.Tensor]:
        _, originals = editor.apply_algo(
            editor.model,
            editor.tok,
            [request],
            editor.hparams,
            copy=False,
            return_orig_weights=True,
            keep_original_weight=True,
        )
        return originals

    return apply


def _plain(results: dict[str, Result], facts: int) -> dict[str, Any]:
    info = host_info()
    return {
        "host": f"{info.kind} {info.version}",
        "facts": facts,
        "methods": {
            method: {
                "seconds": result.seconds,
                "means": {
                    mode: {measure: asdict(interval) for measure, interval in measures.items()}
                    for mode, measures in result.intervals().items()
                },
                "scores": [asdict(fact) for fact in result.scores],
            }
            for method, result in results.items()
        },
    }


def _markdown(results: dict[str, Result], facts: int) -> str:
    parts = [f"{facts} single edits; per cent, with 95 % bootstrap intervals over facts.\n"]
    for mode, title in (("teacher_forced", "Teacher-forced"), ("generated", "Generated")):
        columns = {method: result.intervals()[mode] for method, result in results.items()}
        measures = list(dict.fromkeys(measure for column in columns.values() for measure in column))
        parts.append(f"**{title}**\n\n| measure | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for measure in sorted(measures, key=lambda name: (_ORDER.index(name.partition(".")[0]), name)):
            parts.append(f"| {measure} | {' | '.join(_cell(column.get(measure)) for column in columns.values())} |")
        parts.append("")
    seconds = ", ".join(f"{method} {result.seconds:.2f}" for method, result in results.items())
    return "\n".join(parts) + f"\nSeconds per edit, side by side in one run: {seconds}.\n"


_ORDER = ("rewrite", "rephrase", "portability", "locality")


def _cell(interval: Interval | None) -> str:
    return "" if interval is None else str(interval).strip()


if __name__ == "__main__":
    main()
