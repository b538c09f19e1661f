"""What one edit of a batch of facts costs, measured in a process of its own; :mod:`cost` runs it and reads its line.

    python benchmarks/cost_one.py ICE-LoRA 10

prints ``{"seconds": ..., "peak_mib": ...}``: time of the algorithm alone, without loading or evaluation, and how far
the process's resident memory rose above what it was before. Linux only.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import torch

from easyedit_ice.bench.config import ModelConfig
from easyedit_ice.bench.methods import make_method
from easyedit_ice.bench.telemetry.cost import Cost, measured
from easyedit_ice.cli.console import quiet
from easyedit_ice.data import load_records, to_requests

STEPS = dict.fromkeys(("ROME", "MEMIT", "EMMET", "FastROME", "FastMEMIT", "FastEMMET"), "v_num_grad_steps")
"""What other methods than those of gradient descent on weights call their steps."""


def main(method: str, batch: int) -> Cost:
    """Edit once to load what loads late, then once for the measurement."""
    with quiet():
        _apply(
            method, to_requests(load_records("factworld", split="dev", size=1)), **{STEPS.get(method, "num_steps"): 2}
        )
        return _apply(method, to_requests(load_records("factworld", split="test", size=batch)))


def _apply(name: str, requests: list[dict[str, Any]], **settings: Any) -> Cost:
    method = make_method(name, model=ModelConfig(), settings=settings)
    with measured(method.model) as cost:
        method.apply(requests, 0)
    return cost


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(asdict(main(sys.argv[1], int(sys.argv[2])))))
