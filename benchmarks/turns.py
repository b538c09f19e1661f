"""What a fact costs by several methods, by turns in one run: CPU seconds of this process, without the first fact.

    python benchmarks/turns.py ICE-Grad ICE-LoRA FastGrad
    python benchmarks/turns.py FastGrad FastMEMIT --model smollm2-135m --records counterfact-edit-dev.json --facts 5

Each fact is edited by one method after the other and taken out again. Run it on a machine that does nothing else, with
OMP_NUM_THREADS=1. The embedded model has its presets; others have `auto`.
"""

from __future__ import annotations

import argparse
import time
from statistics import mean
from typing import Any

from easyedit_ice import FastMEMITHyperParams, load_model
from easyedit_ice.bench.methods import make_method
from easyedit_ice.data import load_records, to_requests

EMBEDDED = "gpt2-factworld"


def main() -> None:
    """Take turns, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--model", default=EMBEDDED)
    parser.add_argument("--records", help="a file of records; dev facts of the embedded world by default")
    parser.add_argument("--start", type=int, default=100, help="first record")
    parser.add_argument("--facts", type=int, default=8)
    arguments = parser.parse_args()
    model, tok = load_model(FastMEMITHyperParams(model_name=arguments.model, device="cpu"))
    split: dict[str, Any] = {} if arguments.records else {"split": "dev"}
    records = load_records(arguments.records or "factworld", start=arguments.start, size=arguments.facts, **split)
    preset = None if arguments.model == EMBEDDED else "auto"
    methods = {name: make_method(name, model=(model, tok), preset=preset, settings={}) for name in arguments.methods}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for request in to_requests(records.records):
        for name, method in methods.items():
            before = time.process_time()
            edited = method.apply([request], 0)
            seconds[name].append(time.process_time() - before)
            method.undo(edited)
    for name, each in seconds.items():
        print(f"{name}: {mean(each[1:]):.2f} CPU seconds a fact, {len(each) - 1} facts")


if __name__ == "__main__":
    main()
