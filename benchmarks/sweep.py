"""Settings of the algorithms that train, tried on dev facts of the embedded world, one fact at a time.

The best is that of the highest harmonic mean of four scores: rewrite, rephrase, portability and locality, each the mean
of teacher-forced and generated. Results: `results/sweeps/<algorithm>.json`, the best first.

    python benchmarks/sweep.py LoRA-BF AdaLoRA DoRA QLoRA-BF GoRA LocFT-BF SVF SVF-off-diagonal --facts 32
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import harmonic_mean, mean
from typing import Any

from easyedit_ice import factworld
from easyedit_ice.bench.config import ModelConfig
from easyedit_ice.bench.methods import make_method
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.evaluation import FactScore, edit_scores, observe, questions, summarize

RESULTS = Path(__file__).parent / "results" / "sweeps"
LATE, UPPER = [5], [3, 4, 5]
KEEPING = {
    "locality_weight": 1.0,
    "neighbour_weight": 1.0,
    "locality_samples": 48,
    "neighbour_names": 24,
    "neighbour_rows": 6,
    "locality_rows": 4,
}
"""Terms that keep general text and neighbours as they are, lighter than ICE-LoRA's."""


DESCENT = {"optimizer": "sgd", "momentum": 0.0, "lr": 0.5}
"""Plain gradient descent, whose steps are as long as the clipped gradient."""


def _rates(slow: float, fast: float) -> list[dict[str, Any]]:
    """Layers and learning rates for adapters alike, and the terms of locality; AdamW, and gradient descent."""
    grid = [{"layers": layers, "lr": lr} for layers in (LATE, UPPER) for lr in (slow, fast)]
    kept = [{"layers": layers, "lr": slow, **KEEPING} for layers in (UPPER, None)]
    descents = [{"layers": layers, **DESCENT} for layers in (LATE, UPPER, None)]
    return [*grid, *kept, *descents, {"layers": UPPER, **DESCENT, **KEEPING}]


GRIDS: dict[str, list[dict[str, Any]]] = {
    "LoRA-BF": _rates(1e-3, 3e-3),
    "DoRA": _rates(1e-3, 3e-3),
    "QLoRA-BF": _rates(1e-3, 3e-3),
    "AdaLoRA": _rates(5e-3, 1e-2),
    "LocFT-BF": _rates(2e-4, 5e-4),
    "GoRA": [
        *(
            {"layers": layers, "softness": softness, **DESCENT}
            for layers in (LATE, UPPER)
            for softness in (0.01, 0.1, 1.0)
        ),
        {"layers": UPPER, "softness": 0.1, "optimizer": "adamw", "lr": 5e-3},
        {"layers": None, "softness": 0.1, **DESCENT},
        {"layers": UPPER, "softness": 1.0, **DESCENT, **KEEPING},
    ],
    "SVF": [
        *({"layers": layers, **DESCENT} for layers in (LATE, UPPER, None)),
        *({"layers": layers, "optimizer": "adamw", "lr": 2e-2} for layers in (UPPER, None)),
        {"layers": None, **DESCENT, "lr": 0.2},
        {"layers": None, **DESCENT, "target_modules": ["all"]},
        {"layers": None, **DESCENT, "sum_normalised": True},
        {"layers": None, **DESCENT, **KEEPING},
    ],
    "SVF-off-diagonal": [
        *(
            {"layers": layers, "spectral_form": form, "off_diagonals": count, **DESCENT}
            for layers in (UPPER, None)
            for form, count in (("banded", 1), ("banded", 8), ("banded", 64), ("top", 1000))
        ),
        {"layers": UPPER, "spectral_form": "banded", "off_diagonals": 8, **DESCENT, **KEEPING},
    ],
}
"""By name of the result, which is the algorithm's where :data:`ALGORITHM` has no other."""
ALGORITHM = {"SVF-off-diagonal": "SVF"}
EVERY_BLOCK = {"depth": [0.0, 1.0]}
"""Where ``layers`` is None."""


def main() -> None:
    """Try all settings of the algorithms asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithms", nargs="+", choices=GRIDS)
    parser.add_argument("--facts", type=int, default=32)
    arguments = parser.parse_args()
    facts = to_requests(load_records("factworld", split="dev", size=arguments.facts).records)
    for name in arguments.algorithms:
        tried = [attempt(name, settings, facts) for settings in GRIDS[name]]
        tried.sort(key=lambda found: found["harmonic_mean"], reverse=True)
        path = RESULTS / f"{name.lower().replace('-', '_')}.json"
        path.write_text(json.dumps(tried, indent=1) + "\n")


def attempt(name: str, settings: dict[str, Any], facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Scores of an algorithm with some settings in place of its preset's."""
    model = ModelConfig(name=str(factworld.model_path()), dtype="float32")
    method = make_method(ALGORITHM.get(name, name), model=model, settings=EVERY_BLOCK | settings)
    asked = [questions(request) for request in EditRequest.prepare(facts)]
    before = observe(method.model, method.tok, asked)
    scores: list[FactScore] = []
    seconds: list[float] = []
    for fact, own, was in zip(facts, asked, before, strict=True):
        started = time.perf_counter()
        edited = method.apply([fact], 0)
        seconds.append(time.perf_counter() - started)
        scores.append(edit_scores(own, was, observe(edited.model, method.tok, [own])[0]))
        method.undo(edited)
    modes = summarize(scores)
    means = {
        mode: {measure: found.mean for measure, found in modes[mode].items()}
        for mode in ("teacher_forced", "generated")
    }
    four = [
        mean(own[measure] for own in means.values()) for measure in ("rewrite", "rephrase", "portability", "locality")
    ]
    found = {"settings": settings, "facts": len(facts), "harmonic_mean": harmonic_mean(four), "seconds": mean(seconds)}
    print(name, json.dumps(found), [round(100 * value, 1) for value in four], flush=True)
    return found | means


if __name__ == "__main__":
    main()
