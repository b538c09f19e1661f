"""What ICE-LoRA adds to fine-tuning."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from quick import FEW_TEXTS, UNPROTECTED

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.ice_lora import IceLoraHyperParams
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import encode, predict

QUICK = {"num_steps": 3, "rank": 2, **FEW_TEXTS, **UNPROTECTED}
WEIGHTS = ("ice_weight", "free_weight", "locality_weight", "neighbour_weight", "context_nll_weight")
NONE = dict.fromkeys(WEIGHTS, 0.0)


def _solve(facts=FACTS, **changes):
    return solve(SHAPES[0].build(), tokenizer(), facts, IceLoraHyperParams(**QUICK | changes))


def _same(one, other) -> bool:
    return all(torch.equal(delta.matrix(), other.deltas[name].matrix()) for name, delta in one.deltas.items())


def _terms(update) -> set[str]:
    return set(update.info["course"]["losses"][0])


def test_without_its_own_terms_it_is_fine_tuning_to_the_bit():
    settings = IceLoraHyperParams(**QUICK | NONE).to_dict()
    shared = {field.name: settings[field.name] for field in fields(LoraHyperParams)} | {"alg_name": "LoRA-BF"}
    fine_tuned = solve(SHAPES[0].build(), tokenizer(), FACTS, LoraHyperParams(**shared))
    assert _same(_solve(**NONE), fine_tuned)


@pytest.mark.parametrize(
    ("weight", "term"),
    [
        ("ice_weight", "context"),
        ("free_weight", "consequences"),
        ("locality_weight", "locality"),
        ("context_nll_weight", "target in context"),
    ],
)
def test_each_weight_switches_its_term_on_and_changes_the_update(weight, term):
    without, with_term = _solve(**NONE), _solve(**NONE | {weight: 5.0, "free_about": ["target"]})
    assert _terms(without) == {"target"}
    assert _terms(with_term) == {"target", term}
    assert not _same(without, with_term)


def test_a_static_and_a_dynamic_teacher_give_different_updates():
    settings = NONE | {"ice_weight": 5.0, "resample_every": 0, "lr": 1e-2}
    assert not _same(_solve(teacher="static", **settings), _solve(teacher="dynamic", **settings))


def test_a_records_own_context_is_used():
    settings = NONE | {"ice_weight": 5.0, "context_sources": ["record"], "num_contexts": 1}
    told = [{**fact, "context": f"Everyone says that {fact['subject']} has changed."} for fact in FACTS]
    assert not _same(_solve(told, **settings), _solve(FACTS, **settings))


def test_the_subject_may_be_left_out():
    facts = [{"prompt": fact["prompt"], "target_new": fact["target_new"]} for fact in FACTS]
    assert _solve(facts).info["course"]["steps"] == 3


def test_the_in_context_term_brings_the_model_to_answer_as_it_does_in_context():
    apart = {}
    for weight in (1e-6, 50.0):
        settings = {"ice_weight": weight, "num_steps": 30, "resample_every": 0, "lr": 1e-2, "stop_nll": None}
        apart[weight] = _solve(**NONE | settings).info["course"]["losses"][-1]["context"]
    assert apart[50.0] < 0.5 * apart[1e-6]


def test_locality_keeps_what_the_model_writes_unasked():
    rows = [encode(tokenizer(), "", text) for text in ("The river that", "Mira works as a baker", "Sundray")]
    moved = {}
    for weight in (0.0, 50.0):
        model = SHAPES[0].build()
        with torch.no_grad():
            before = predict(model, rows).log_probs
        settings = NONE | {"locality_weight": weight, "num_steps": 20, "lr": 1e-2, "locality_samples": 32}
        solve(model, tokenizer(), FACTS, IceLoraHyperParams(**QUICK | settings)).commit(model)
        with torch.no_grad():
            moved[weight] = predict(model, rows).kl_from(before).mean().item()
    assert moved[50.0] < 0.5 * moved[0.0]


@pytest.mark.parametrize("preset", ["paper_code", "brief"])
def test_the_presets_for_comparison_run(preset):
    overrides = {"num_steps": 2, "continuation_samples": 2, "free_samples": 2, "locality_samples": 4}
    overrides |= {"free_length": 4, "locality_length": 6}
    hparams = IceLoraHyperParams.from_hparams(preset, **overrides)
    model = SHAPES[0].build()
    rows = [encode(tokenizer(), r.prompt, r.completion) for r in EditRequest.prepare(FACTS)]
    with torch.no_grad():
        before = predict(model, rows).nll().mean()
    solve(model, tokenizer(), FACTS, hparams).commit(model)
    with torch.no_grad():
        assert predict(model, rows).nll().mean() < before
