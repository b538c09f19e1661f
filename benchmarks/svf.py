"""SVF beside LoRA: the size of an edit's state, what decomposing costs, and success against the size of the change.

For weights of the embedded model, and of Llama 3.2 1B's shape with random values: numbers and bytes of an edit;
seconds of decomposing a weight, exactly and at random, beside those of an edit; and how far U diag(s) Vᵀ is from W,
with factors in fp32 and in bf16, beside how far an edit goes. For test facts of the embedded world: the share that is
written, and locality, of the same edits scaled down, and with more blocks. Results: `results/svf/`.

    OMP_NUM_THREADS=1 python benchmarks/svf.py --facts 40
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from easyedit_ice import factworld, solve
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.training_settings import TrainingHyperParams
from easyedit_ice.evaluation import edit_scores, observe, questions
from easyedit_ice.evaluation.intervals import with_sections
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute.decompose import decompose

RESULTS = Path(__file__).parent / "results" / "svf"
BLOCKS = ([5], [4, 5], [3, 4, 5], [2, 3, 4, 5], [0, 1, 2, 3, 4, 5])
FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.5)
STATES = {
    "SVF": ("SVF", {}),
    "SVF, 8 bands": ("SVF", {"spectral_form": "banded", "off_diagonals": 8}),
    "LoRA, rank 1": ("LoRA-BF", {"rank": 1}),
    "LoRA, rank 16": ("LoRA-BF", {"rank": 16}),
}
EDITORS = {
    "SVF": ("SVF", {"spectral_form": "diagonal"}),
    "SVF, 8 bands": ("SVF", {"spectral_form": "banded", "off_diagonals": 8}),
    "LoRA": ("LoRA-BF", {}),
}
DESCENT = {"optimizer": "sgd", "momentum": 0.0, "lr": 0.5, "num_steps": 200}
FP32 = 4
MEASURES = ("rewrite", "rephrase", "portability", "locality")


def main() -> None:
    """Measure all, and write tables and a plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=40)
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    model, tok = factworld.load()
    facts = to_requests(load_records("factworld", split="test", size=arguments.facts).records)
    found = {
        "states": {"embedded": states(model), "Llama 3.2 1B": states(large())},
        "decomposing": {"embedded": decomposing(model), "Llama 3.2 1B": decomposing(large())},
        "facts": len(facts),
        "curves": [
            point
            for name in EDITORS
            for layers in BLOCKS
            for point in curve(model, tok, facts, name, layers, FACTORS if len(layers) in (1, 3, 6) else (1.0,))
        ],
    }
    (RESULTS / "svf.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "svf.md").write_text(markdown(found))
    draw(found["curves"], RESULTS / "svf.png")
    print(markdown(found))


def large() -> torch.nn.Module:
    """One block of Llama 3.2 1B's shape, with random weights."""
    config = LlamaConfig(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=1, num_attention_heads=32, num_key_value_heads=8
    )
    config.vocab_size = 64
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config)


def states(model: torch.nn.Module) -> dict[str, dict[str, float]]:
    """Trained values of an edit of one block's MLP output, and bytes in fp32."""
    (projection,) = ModelAnatomy(model).match(["mlp.out"], [-1])
    counts = {
        name: ALGORITHMS[algorithm].hparams_class.from_dict(settings).trained.trained_values(projection, steps=1)
        for name, (algorithm, settings) in STATES.items()
    }
    return {name: {"values": count, "bytes": FP32 * count, "of": projection.size} for name, count in counts.items()}


def decomposing(model: torch.nn.Module) -> dict[str, float]:
    """Seconds for one MLP output, and how far the factors' product is from it, relative to its norm."""
    (projection,) = ModelAnatomy(model).match(["mlp.out"], [-1])
    weight = projection.matrix()
    exact, seconds = _timed(weight, "exact", None)
    few, few_seconds = _timed(weight, "randomised", 64)
    left, values, right = (factor.bfloat16().float() for factor in (exact.left, exact.values, exact.right))
    in_bf16 = ((left * values) @ right.T - weight).norm() / weight.norm()
    return {
        "exact seconds": seconds,
        "64 of them, randomised, seconds": few_seconds,
        "error in fp32": exact.error,
        "error in bf16": in_bf16.item(),
        "error of 64, randomised": few.error,
        "error of 64, exact": decompose(weight, rank=64).error,
    }


def _timed(weight: torch.Tensor, method: str, rank: int | None) -> tuple[Any, float]:
    started = time.perf_counter()
    return decompose(weight, method, rank), time.perf_counter() - started


def curve(
    model: torch.nn.Module,
    tok: Any,
    facts: Sequence[dict[str, Any]],
    name: str,
    layers: Sequence[int],
    factors: Sequence[float],
) -> list[dict[str, Any]]:
    """Scores of each fact's edit, alone and scaled, and how large it is."""
    algorithm, settings = EDITORS[name]
    hparams: TrainingHyperParams = ALGORITHMS[algorithm].hparams_class.from_dict(
        {"target_modules": ["mlp.out"], "layers": list(layers), **DESCENT, **settings}
    )
    weights = {p.name: p.matrix().norm().item() for p in ModelAnatomy(model).match(["mlp.out"], list(layers))}
    asked = [questions(request) for request in EditRequest.prepare(facts)]
    before = observe(model, tok, asked)
    found: dict[float, list[dict[str, float]]] = {factor: [] for factor in factors}
    seconds: list[float] = []
    for fact, own, was in zip(facts, asked, before, strict=True):
        started = time.perf_counter()
        update = solve(model, tok, [fact], hparams)
        seconds.append(time.perf_counter() - started)
        for factor in factors:
            scaled = update.scaled(factor)
            scaled.commit(model)
            scores = edit_scores(own, was, observe(model, tok, [own])[0])
            scaled.revert(model)
            size = mean(norm / weights[name] for name, norm in scaled.norms().items())
            found[factor].append({"size": size} | with_sections(scores.generated))
    return [
        {"editor": name, "layers": list(layers), "factor": factor, "seconds": median(seconds)}
        | {measure: mean(one[measure] for one in ones if measure in one) for measure in ("size", *MEASURES)}
        for factor, ones in found.items()
    ]


def markdown(found: dict[str, Any]) -> str:
    """All tables."""
    lines = [
        "| state of an edit of one MLP output | " + " | ".join(f"{m}: values | bytes" for m in found["states"]) + " |"
    ]
    lines.append("| --- |" + " ---: | ---: |" * len(found["states"]))
    for name in STATES:
        cells = [f"{own[name]['values']:,} | {own[name]['bytes']:,}" for own in found["states"].values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    models = list(found["decomposing"])
    lines += ["", "| decomposing one MLP output | " + " | ".join(models) + " |", "| --- |" + " ---: |" * len(models)]
    for what in found["decomposing"][models[0]]:
        cells = [f"{found['decomposing'][m][what]:.2g}" for m in models]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    lines += ["", "| editor | blocks | times | size | " + " | ".join(MEASURES) + " | s |"]
    lines.append("| --- | --- | ---: | ---: |" + " ---: |" * (len(MEASURES) + 1))
    for point in found["curves"]:
        cells = " | ".join(f"{100 * point[measure]:.1f}" for measure in MEASURES)
        blocks = ", ".join(map(str, point["layers"]))
        place = f"{point['editor']} | {blocks} | {point['factor']} | {point['size']:.3f}"
        lines.append(f"| {place} | {cells} | {point['seconds']:.2f} |")
    lines += [
        "",
        f"{found['facts']} test facts of the embedded world, each alone; generated answers, per cent. *Times*: factor "
        "of the trained change; *size*: mean of ‖ΔW‖ / ‖W‖ over the changed weights; *s*: median seconds of an edit.",
    ]
    return "\n".join(lines) + "\n"


def draw(curves: Sequence[dict[str, Any]], path: Path) -> None:
    """Success against the size of the change, and against what is lost."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.6), sharey=True)
    for axis, blocks in zip(axes, (1, 3, 6), strict=True):
        for editor, color in zip(EDITORS, ("C0", "C1", "C2"), strict=True):
            own = [p for p in curves if p["editor"] == editor and len(p["layers"]) == blocks]
            sizes = [point["size"] for point in own]
            for measure, style in (("rewrite", "-o"), ("rephrase", "--s"), ("locality", ":^")):
                axis.plot(
                    sizes,
                    [100 * point[measure] for point in own],
                    style,
                    color=color,
                    ms=3,
                    label=f"{editor}, {measure}",
                )
        axis.set(title=f"{blocks} block{'s' * (blocks > 1)}", xlabel="‖ΔW‖ / ‖W‖", xscale="log", ylim=(-2, 102))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("per cent, generated")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.17, 1, 1))
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
