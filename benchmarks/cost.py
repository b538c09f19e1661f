"""Seconds per fact and peak memory, by method and batch, beside EasyEdit's own FT and LoRA in one run.

All edit the same facts of the embedded model on one thread; ``batch`` facts are solved together. Each measurement is
a process of its own, methods take turns, and the median of the repeats is reported, with its ratio to one method's at
the same batch.

    python benchmarks/cost.py --batches 1 10 100 --repeats 3
    python benchmarks/cost.py --methods FastMEMIT MEMIT --reference MEMIT --name cost_closed_form
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from easyedit_ice.easyedit import host_info

HERE = Path(__file__).resolve().parent
METHODS = ("LoRA-BF", "ICE-LoRA", "FT", "LoRA")
Measurements = dict[tuple[int, str], list[dict[str, float]]]


def main() -> None:
    """Measure everything; write a table and all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--batches", nargs="+", type=int, default=(1, 10, 100))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reference", default="LoRA-BF", help="the method whose ratios are 1")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    parser.add_argument("--name", default="cost", help="how their files' names begin")
    arguments = parser.parse_args()

    measured = _measure(arguments.methods, arguments.batches, arguments.repeats)
    info = host_info()
    about = {
        "host": f"{info.kind} {info.version}",
        "versions": {package: version(package) for package in ("torch", "transformers", "peft")},
        "repeats": arguments.repeats,
    }
    rows = [{"batch": batch, "method": method, "runs": runs} for (batch, method), runs in measured.items()]
    arguments.out.mkdir(parents=True, exist_ok=True)
    out = arguments.out / f"{arguments.name}_{info.kind}"
    out.with_suffix(".json").write_text(json.dumps(about | {"measurements": rows}, indent=1) + "\n")
    out.with_suffix(".md").write_text(_markdown(measured, about["host"], arguments.repeats, arguments.reference))
    print(out.with_suffix(".md").read_text())


def _measure(methods: list[str], batches: list[int], repeats: int) -> Measurements:
    measured: Measurements = {(batch, method): [] for batch in batches for method in methods}
    turns = [turn for _ in range(repeats) for turn in measured]
    for batch, method in tqdm(turns, unit="run", disable=None):
        measured[batch, method].append(_one(method, batch))
    return measured


def _one(method: str, batch: int) -> dict[str, float]:
    command = [sys.executable, str(HERE / "cost_one.py"), method, str(batch)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{method} at batch {batch} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _markdown(measured: Measurements, host: str, repeats: int, reference: str) -> str:
    compared = any(method == reference for _, method in measured)
    beside = f", and their ratios to {reference}'s at the same batch" if compared else ""
    ratio = [f"× {reference}"] if compared else []
    head = ["batch", "method", "seconds per fact", *ratio, "peak memory, MiB", *ratio]
    lines = [
        f"EasyEdit {host}, one thread; medians of {repeats}{beside}.",
        "",
        f"| {' | '.join(head)} |",
        f"|---:|---|{'---:|' * (len(head) - 2)}",
    ]
    for batch, method in measured:
        cells = [str(batch), method]
        for quantity, per in (("seconds", batch), ("peak_mib", 1)):
            value = _median(measured, batch, method, quantity)
            cells.append(f"{value / per:.3g}")
            if compared:
                other = _median(measured, batch, reference, quantity)
                cells.append(f"{value / other:.2f}" if other else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _median(measured: Measurements, batch: int, method: str, quantity: str) -> float:
    """Zero where the method was left out."""
    return statistics.median([run[quantity] for run in measured.get((batch, method), ())] or [0.0])


if __name__ == "__main__":
    main()
