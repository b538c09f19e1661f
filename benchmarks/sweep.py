"""Where the settings of the embedded model's presets come from: a sweep over the dev facts.

Each setting is tried on the same dev facts, one edit at a time. A line for each: rewrite, rephrase, portability and
locality, teacher-forced and generated, in per cent. A run that was stopped goes on with the settings not tried yet.

    python benchmarks/sweep.py --method ICE-LoRA --facts 40 --grid benchmarks/grids/ice_lora.yaml \
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
from methods import editing
from single_edits import score

from easyedit_ice.data import load_records, to_requests


def main() -> None:
    """Try every setting that is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", required=True, help="an algorithm of this package or of EasyEdit")
    parser.add_argument("--grid", type=Path, required=True, help="YAML: a list of {setting: [values]}")
    parser.add_argument("--facts", type=int, default=40)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    requests = to_requests(load_records("factworld", split="dev", size=arguments.facts))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = json.loads(arguments.out.read_text()) if arguments.out.exists() else []
    for settings in _combinations(yaml.safe_load(arguments.grid.read_text())):
        if any(row["settings"] == settings for row in done):
            continue
        model, tok, apply = editing(arguments.method, settings)
        result = score(model, tok, requests, apply, str(settings))
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
