"""On a GPU: the promises, the same edits as on a CPU, and no more memory than the plan says.

    pytest -m gpu tests/device

Where there is no GPU each test is skipped by name. They were not run on one so far: how far an edit may be from the
CPU's, and memory from the plan, are expected bounds and not measured ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hosts import EACH_HOST, run_in_host
from quick import QUICK_EDITS, of
from transformers import LlamaConfig

from easyedit_ice.bench.telemetry.cost import measured
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.planning.footprint import footprint
from easyedit_ice.testing import failures
from easyedit_ice.testing.cases import Case
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, Shape, tokenizer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
GPU = "cuda:0"
WITHIN_HOST = Path(__file__).resolve().parent.parent / "testing" / "within_host.py"
EVERY = pytest.mark.parametrize("name", sorted(ALGORITHMS))
FORMS = {"GPT-2, fp32": SHAPES[0], "GPT-2, bf16": SHAPES[1], "Llama, fp32": SHAPES[2], "Llama, bf16": SHAPES[3]}
EACH_FORM = pytest.mark.parametrize("shape", FORMS.values(), ids=FORMS)
DRAWS = {"ICE-LoRA", "FastICE", "ICE-Grad"}
"""Draw texts from the model: a GPU's generator draws others than a CPU's from the same seed."""
APART = {torch.float32: 0.02, torch.bfloat16: 0.25}
"""How far ΔW may be from the CPU's, relative to its norm: order of sums alone, which Adam's first steps magnify."""


@EACH_FORM
@EVERY
def test_every_promise_is_kept(name: str, shape: Shape) -> None:
    assert [
        str(failure) for failure in failures(ALGORITHMS[name], QUICK_EDITS.get(name), shapes=[shape], device=GPU)
    ] == []


@EACH_HOST
def test_every_promise_is_kept_within_easyedit(host: str, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    run_in_host(host, WITHIN_HOST, str(results), "--device", GPU, "--all")
    assert json.loads(results.read_text())["algorithms"] == {name: [] for name in ALGORITHMS}


@EACH_FORM
@pytest.mark.parametrize("name", sorted(set(ALGORITHMS) - DRAWS))
def test_an_edit_is_that_of_the_cpu(name: str, shape: Shape) -> None:
    spec = ALGORITHMS[name]
    hparams = spec.hparams_class.from_dict(QUICK_EDITS.get(name, {}))
    here, there = (Case(spec, hparams, shape, device).solve() for device in ("cpu", GPU))
    assert here.deltas.keys() == there.deltas.keys()
    for weight, delta in here.deltas.items():
        expected, found = delta.matrix().cpu(), there.deltas[weight].matrix().cpu()
        assert (found - expected).norm() <= APART[shape.dtype] * expected.norm(), weight


@pytest.mark.parametrize("facts", [1, 3])
@EVERY
def test_memory_rises_as_planned(name: str, facts: int) -> None:
    """Within the bounds that hold on a CPU, on a model large enough that its tensors are what counts."""
    shape = Shape("wide", _wide, torch.float32)
    hparams = ALGORITHMS[name].hparams_class.from_dict(of(name, {"num_steps": 2, "mom2_dataset": "factworld"}))
    model = shape.build(GPU)
    solve(model, tokenizer(), FACTS[:facts], hparams)  # what is loaded and measured once
    with measured(model) as cost:
        solve(model, tokenizer(), FACTS[:facts], hparams).commit(model)
    plan = footprint(model, hparams, facts=facts, tokens=16, device="cuda", tok=tokenizer())
    assert cost.peak_mib is not None
    assert cost.peak_mib * 2**20 <= 1.2 * (plan.peak - plan.weights)


def _wide(vocabulary: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=4,
        num_attention_heads=12,
        num_key_value_heads=4,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=0,
    )
