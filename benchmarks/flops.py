"""How much of an edit's time is arithmetic: floating point operations of one fact, and how fast the machine makes them.

Of one fact alone, what is done once for a model being done before: FLOPs as torch counts them (matrix products and
attention, forward and backward), seconds of one thread, and the seconds that as many FLOPs take in one large product of
matrices on the same thread, measured right before and after. Their quotient is what is not lost to small matrices,
to everything that is no product, and to Python.

    OMP_NUM_THREADS=1 python benchmarks/flops.py FastMEMIT FastICE GoRA ICE-LoRA LoRA-BF --model smollm2-135m \
        --data counterfact-edit-dev.json --facts 3
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from easyedit_ice import factworld
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.apply import prepare, solve
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS

RESULTS = Path(__file__).parent / "results" / "flops"
WIDTH, REPEATS = 1024, 8
"""Of the matrices that the machine is measured with, and how often."""


def main() -> None:
    """Measure one algorithm after the other; what was measured is written at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="+", choices=tuple(ALGORITHMS))
    parser.add_argument("--model", default="gpt2-factworld", help="its preset is used where there is one, else auto")
    parser.add_argument("--data", default="factworld", help="a file of records, or the embedded world's dev facts")
    parser.add_argument("--facts", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    embedded = arguments.model == "gpt2-factworld"
    folder = str(factworld.model_path()) if embedded else arguments.model
    model, tok = load_model(EditHyperParams(model_name=folder, device="cpu", dtype="float32"))
    facts = to_requests(load_records(arguments.data, split="dev", size=arguments.facts).records)
    rows = []
    for name in arguments.algorithms:
        hparams = ALGORITHMS[name].hparams_class.from_hparams("gpt2-factworld" if embedded else "auto")
        prepare(model, tok, facts[:1], hparams)
        solve(model, tok, facts[:1], hparams)  # loads what loads late
        rows.append({"algorithm": name, **measured(model, tok, facts, hparams)})
        print(json.dumps(rows[-1]), flush=True)
        write(arguments.out / arguments.model, rows)


def measured(
    model: torch.nn.Module, tok: Any, facts: Sequence[dict[str, Any]], hparams: EditHyperParams
) -> dict[str, float]:
    """Means over facts: FLOPs, CPU seconds, and the seconds that as many FLOPs take at the machine's own speed."""
    counts, seconds, least = [], [], []
    for fact in facts:
        with FlopCounterMode(display=False) as counter:
            solve(model, tok, [fact], hparams)
        before, started = speed(), time.process_time()
        solve(model, tok, [fact], hparams)
        seconds.append(time.process_time() - started)
        counts.append(counter.get_total_flops())
        least.append(counts[-1] / fmean((before, speed())))
    return {"flops": fmean(counts), "seconds": fmean(seconds), "least": fmean(least)}


def speed() -> float:
    """FLOPs a second of one product of matrices in fp32, by CPU time."""
    matrix = torch.ones(WIDTH, WIDTH)
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        torch.mm(matrix, matrix)
        times.append(time.process_time() - started)
    return 2 * WIDTH**3 / median(times)


def write(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """What was measured so far, and a table of it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    versions = {package: version(package) for package in ("torch", "transformers")}
    out.with_suffix(".json").write_text(json.dumps({"versions": versions, "measurements": rows}, indent=1) + "\n")
    lines = [
        "| | GFLOPs a fact | CPU s | s at the machine's speed | of the time |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['algorithm']} | {row['flops'] / 1e9:.0f} | {row['seconds']:.2f} | {row['least']:.2f} "
        f"| {100 * row['least'] / row['seconds']:.0f} % |"
        for row in rows
    ]
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
