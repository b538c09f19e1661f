"""Where the settings of the embedded model's presets come from: a sweep over the dev facts.

Each setting is tried on the same dev facts, one edit at a time. The table is sorted by the mean of rephrase and
portability among the settings whose locality reaches the bound, all teacher-forced.

    python benchmarks/sweep.py --algorithm ICE-LoRA --facts 40 --grid benchmarks/grids/ice_lora.yaml \
        --out benchmarks/results/sweep_ice_lora.json
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from single_edits import score

from easyedit_ice import ALGORITHMS, solve, world
from easyedit_ice.data import load_records, to_requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algorithm", required=True)
    parser.add_argument("--grid", type=Path, required=True, help="YAML: a list of {setting: [values]}")
    parser.add_argument("--facts", type=int, default=40)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default=str(world.model_path()))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    hparams_class = ALGORITHMS[arguments.algorithm].hparams_class
    requests = to_requests(load_records("factworld", split="dev", size=arguments.facts))
    from easyedit_ice import load_model

    model, tok = load_model(hparams_class.from_dict({"model_name": arguments.model, "device": "cpu"}))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = json.loads(arguments.out.read_text()) if arguments.out.exists() else []
    for settings in _combinations(yaml.safe_load(arguments.grid.read_text())):
        if any(row["settings"] == settings for row in done):
            continue
        hparams = hparams_class.from_dict(settings)
        result = score(
            model,
            tok,
            requests,
            lambda request, h=hparams: solve(model, tok, [request], h).commit(model),
            str(settings),
        )
        modes = result.intervals()
        means = {mode: {measure: i.mean for measure, i in measures.items()} for mode, measures in modes.items()}
        done.append({"settings": settings, "facts": len(requests), "seconds": result.seconds, **means})
        arguments.out.write_text(json.dumps(done, indent=1))
        print(_line(done[-1]), flush=True)


def _combinations(grids: list[dict[str, list[Any]]]) -> Iterator[dict[str, Any]]:
    for grid in grids:
        for values in itertools.product(*grid.values()):
            yield dict(zip(grid, values, strict=True))


def _line(row: dict[str, Any]) -> str:
    columns = ("rewrite", "rephrase", "portability", "locality")
    forced, free = (" ".join(f"{100 * row[mode][c]:5.1f}" for c in columns) for mode in ("teacher_forced", "generated"))
    kinds = " ".join(f"{k.partition('.')[2][:6]}={100 * v:.0f}" for k, v in row["teacher_forced"].items() if "." in k)
    return f"{forced} | {free} | {row['seconds']:.1f}s | {kinds} | {row['settings']}"


if __name__ == "__main__":
    main()
