"""ICE-Grad."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice import factworld as world
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.fast_grad import FastGradHyperParams
from easyedit_ice.editors.algorithms.ice_grad import IceGradHyperParams, prepare
from easyedit_ice.editors.gradient import wordings
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.likely_answers import answers_right

FEWER_TEXTS = IceGradHyperParams.from_hparams("ICE-Grad/gpt2-factworld").replace(free_samples=48, consequences_each=96)
"""The preset with fewer texts, which a test has time for."""
FACT_ALONE = FastGradHyperParams.from_hparams("FastGrad/gpt2-factworld")
TINY = IceGradHyperParams(mom2_dataset="factworld", mom2_shrinkage=0.1, append_eos=False)
WITHOUT_TEXTS = {"free_samples": 0, "continuation_samples": 0}
EACH = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


@pytest.fixture(scope="module")
def facts() -> list[dict]:
    return to_requests(load_records("factworld", split="dev").records[44:48])


def _right(embedded: tuple, asked: list[tuple[str, str]]) -> float:
    right = answers_right(*embedded, asked)
    return sum(right) / len(right)


def _said(facts: list[dict], key: str) -> list[tuple[str, str]]:
    return [(fact[key], fact["target_new"]) for fact in facts]


def _probed(facts: list[dict], kind: str) -> list[tuple[str, str]]:
    return [
        (prompt, answer if isinstance(answer, str) else answer[0])
        for fact in facts
        for probes in fact[kind].values()
        for prompt, answer in zip(probes["prompt"], probes["ground_truth"], strict=True)
    ]


def _known(embedded: tuple, facts: list[dict]) -> list[tuple[str, str]]:
    asked = _probed(facts, "locality")
    return [own for own, right in zip(asked, answers_right(*embedded, asked), strict=True) if right]


def _equal(one: WeightUpdate, other: WeightUpdate) -> bool:
    return one.deltas.keys() == other.deltas.keys() and all(
        torch.equal(tensor, other.deltas[name].tensors()[part])
        for name, delta in one.deltas.items()
        for part, tensor in delta.tensors().items()
    )


@pytest.mark.slow
def test_what_follows_from_a_fact_is_answered_far_more_often_than_if_the_fact_is_written_alone(facts) -> None:
    embedded = world.load()
    model, _ = embedded
    before, known = state(model), _known(embedded, facts)
    follows: dict[str, list[bool]] = {"ICE-Grad": [], "FastGrad": []}
    for fact in facts:
        for hparams in (FEWER_TEXTS, FACT_ALONE):
            with solve(*embedded, [fact], hparams).applied(model):
                follows[hparams.alg_name] += answers_right(*embedded, _probed([fact], "portability"))
                assert _right(embedded, _said([fact], "prompt")) == 1
                assert _right(embedded, _said([fact], "rephrase_prompt")) == 1
                assert _right(embedded, known) >= 0.95
    assert sum(follows["ICE-Grad"]) >= sum(follows["FastGrad"]) + len(facts)
    assert state(model) == before


@pytest.mark.slow
def test_a_batch_and_a_stream_of_facts_bring_what_follows_from_each(facts) -> None:
    embedded = world.load()
    model, _ = embedded
    before, known = state(model), _known(embedded, facts)
    unedited = _right(embedded, _probed(facts, "portability"))
    for batch in (len(facts), 1):
        updates = []
        for start in range(0, len(facts), batch):
            updates.append(solve(*embedded, facts[start : start + batch], FEWER_TEXTS))
            updates[-1].commit(model)
            assert len(updates[-1].info["course"]["consequences"]) == batch
        assert _right(embedded, _said(facts, "prompt")) == 1
        assert _right(embedded, _probed(facts, "portability")) >= unedited + 0.25
        assert _right(embedded, known) >= 0.9
        for update in reversed(updates):
            update.revert(model)
        assert state(model) == before
        assert edits_in(model) == ()


@EACH
def test_without_texts_it_is_fast_grad_to_the_bit(shape) -> None:
    hparams = TINY.replace(**WITHOUT_TEXTS, num_steps=3)
    own = hparams.to_dict()
    same = FastGradHyperParams.from_dict(
        {name: own[name] for name, *_ in FastGradHyperParams.describe() if name != "alg_name"}
    )
    update, expected = (solve(shape.build(), tokenizer(), FACTS[:2], each) for each in (hparams, same))
    assert update.info["course"]["consequences"] == [0, 0]
    assert _equal(update, expected)
    assert all(torch.equal(keys, expected.keys[name]) for name, keys in update.keys.items())


@EACH
def test_it_writes_facts_without_subjects_and_in_models_that_say_nothing_of_them(shape) -> None:
    bare = [{name: value for name, value in fact.items() if name != "subject"} for fact in FACTS]
    update = solve(shape.build(), tokenizer(), bare, TINY)
    likelihoods = update.info["target_nll"]
    assert all(after < before for before, after in zip(likelihoods["before"], likelihoods["after"], strict=True))


def test_the_seed_decides_which_texts_are_drawn() -> None:
    hparams = TINY.replace(least_gain=0.0, least_odds=-20.0, free_samples=4, num_steps=2)
    one, again, other = (
        solve(SHAPES[0].build(), tokenizer(), FACTS[:1], hparams.replace(seed=seed)) for seed in (0, 0, 1)
    )
    assert one.info["course"]["consequences"][0] > 0
    assert _equal(one, again)
    assert not _equal(one, other)


def test_the_wordings_that_the_model_follows_are_looked_for_once(monkeypatch) -> None:
    model, tok = SHAPES[0].build(), tokenizer()
    prepare(model, tok, TINY)
    monkeypatch.setattr(wordings, "shares_followed", lambda *args: pytest.fail("looked for again"))
    assert solve(model, tok, FACTS[:1], TINY).deltas


def test_it_says_that_it_learns_from_what_the_model_says_in_context() -> None:
    assert TINY.teaches_itself
    assert not FACT_ALONE.teaches_itself
