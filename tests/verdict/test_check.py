"""A verdict on edits of the embedded model."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from easyedit_ice import LoraHyperParams, WeightUpdate, check, factworld, load_model, solve
from easyedit_ice.edit.plain_statements import Movement
from easyedit_ice.errors import UpdateError

PROMPT, OLD, NEW = "Faeso Faerkov has a job at", "Balmax Group", "Rinex Brothers"
FACT = {
    "prompt": PROMPT,
    "subject": "Faeso Faerkov",
    "target_new": NEW,
    "rephrase_prompt": "The employer of Faeso Faerkov is",
    "locality": {"other": {"prompt": "Larkin Fussen lives in", "ground_truth": "Quouthburg"}},
    "portability": {"again": {"prompt": "Faeso Faerkov works for", "ground_truth": NEW}},
}


@pytest.fixture(scope="module")
def edited() -> SimpleNamespace:
    hparams = LoraHyperParams.from_hparams("LoRA-BF/gpt2-factworld", model_name=str(factworld.model_path()))
    model, tok = load_model(hparams)
    update = solve(model, tok, [FACT], hparams)
    return SimpleNamespace(model=model, tok=tok, update=update, verdict=check(model, tok, update, [FACT]))


def bits(model: Any) -> dict[str, bytes]:
    return {name: own.numpy().tobytes() for name, own in model.state_dict().items()}


def test_a_written_fact_took(edited):
    (fact,) = edited.verdict.facts
    assert edited.verdict.took and fact.written
    assert (fact.before, fact.after) == (OLD, NEW)
    assert fact.nll < 0.5 < fact.nll_before


def test_the_verdict_is_the_same_of_a_committed_update_and_the_model_stays_to_the_bit(edited):
    before = bits(edited.model)
    edited.update.commit(edited.model)
    committed = bits(edited.model)
    try:
        again = check(edited.model, edited.tok, edited.update, [FACT])
        assert bits(edited.model) == committed
    finally:
        edited.update.revert(edited.model)
    assert again == edited.verdict
    assert bits(edited.model) == before != committed


def test_the_requests_own_probes_are_asked(edited):
    (fact,) = edited.verdict.facts
    kinds = {wording.kind for wording in fact.wordings}
    assert kinds == {"opening", "rephrase", "portability.again"}
    assert [own.prompt for own in fact.neighbours if own.kind == "locality.other"] == ["Larkin Fussen lives in"]


def test_neighbours_are_the_prompt_with_other_names(edited):
    (fact,) = edited.verdict.facts
    names = [own for own in fact.neighbours if own.kind == "name"]
    assert len(names) == 5
    for own in names:
        assert own.prompt.endswith(" has a job at") and "Faeso" not in own.prompt
        assert own.before and own.moved == (own.before.split()[0].lower() != own.after.split()[0].lower())


def test_openings_are_sentences_of_the_models_own_before_the_prompt(edited):
    openings = [own.prompt for own in edited.verdict.wordings if own.kind == "opening"]
    assert len(set(openings)) == 4
    assert all(text.endswith(f". {PROMPT}") for text in openings)


def test_an_edit_that_moves_neighbours_is_warned_of_with_the_figure_and_the_setting(edited):
    strong = edited.update.scaled(6.0)
    strong.info["hparams"] = edited.update.info["hparams"] | {"warn_drift": 0.05}
    verdict = check(edited.model, edited.tok, strong, [FACT])
    assert verdict.moved > 2 and any("neighbours have another answer" in warning for warning in verdict.warnings)
    assert any("bound 0.05" in warning for warning in verdict.warnings)
    assert any(LoraHyperParams.gentler in sentence for sentence in verdict.advice)


def test_a_fact_that_is_not_written_did_not_take_and_the_verdict_says_what_to_try(edited):
    verdict = check(edited.model, edited.tok, edited.update.scaled(1e-6), [FACT])
    assert not verdict.took and verdict.written == 0
    assert verdict.facts[0].after == OLD
    (sentence,) = verdict.advice
    assert LoraHyperParams.stronger in sentence and "FastMEMIT or GoRA" in sentence


def test_an_update_of_nothing_moves_nothing(edited):
    verdict = check(edited.model, edited.tok, WeightUpdate({}), [FACT])
    assert verdict.moved == 0 and verdict.drift == Movement(0.0, 1.0)
    assert verdict.algorithm is None and not verdict.took


def test_what_solve_has_measured_is_not_measured_again(edited):
    known = Movement(0.125, 0.5)
    assert check(edited.model, edited.tok, edited.update, [FACT], drift=known).drift == known


def test_an_update_beneath_a_later_one_is_refused_and_the_model_stays(edited):
    later = WeightUpdate(dict(edited.update.deltas))
    edited.update.commit(edited.model)
    later.commit(edited.model)
    before = bits(edited.model)
    try:
        with pytest.raises(UpdateError, match="changed after this update"):
            check(edited.model, edited.tok, edited.update, [FACT])
        assert bits(edited.model) == before
    finally:
        later.revert(edited.model)
        edited.update.revert(edited.model)


def test_a_fact_without_a_subject_has_no_other_names_and_is_judged_all_the_same(edited):
    bare = {"prompt": PROMPT, "target_new": NEW}
    verdict = check(edited.model, edited.tok, edited.update, [bare])
    assert verdict.took and verdict.neighbours == ()


def test_random_state_and_mode_stay(edited):
    edited.model.train()
    state = torch.random.get_rng_state()
    check(edited.model, edited.tok, edited.update, [FACT])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert edited.model.training
    edited.model.eval()


def test_it_is_plain_values_a_short_line_and_a_table(edited):
    found = json.loads(json.dumps(edited.verdict.to_dict(), allow_nan=False))
    assert found["took"] is True and found["facts"][0]["target"] == NEW
    assert len(repr(edited.verdict)) < 300 and "took; written: 1 of 1 fact" in repr(edited.verdict)
    html = edited.verdict._repr_html_()
    assert html.startswith("<table>") and PROMPT in html
    assert repr(edited.update) == "<WeightUpdate of LoRA-BF, 1 fact: 6 weights>"
