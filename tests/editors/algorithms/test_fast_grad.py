"""FastGrad."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice import factworld as world
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.history import edits_in, recall
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.fast_grad import FastGradHyperParams, prepare
from easyedit_ice.editors.closed_form import metric
from easyedit_ice.editors.closed_form.solver_settings import place_of
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.likely_answers import answers_right

PRESET = FastGradHyperParams.from_hparams("FastGrad/gpt2-factworld")
TINY = FastGradHyperParams(mom2_dataset="factworld", mom2_shrinkage=0.1, append_eos=False)


@pytest.fixture(scope="module")
def facts() -> list[dict]:
    return to_requests(load_records("factworld", split="dev").records[40:52])


def _right(embedded: tuple, asked: list[tuple[str, str]]) -> float:
    right = answers_right(*embedded, asked)
    return sum(right) / len(right)


def _said(facts: list[dict], key: str) -> list[tuple[str, str]]:
    return [(fact[key], fact["target_new"]) for fact in facts]


def _elsewhere(facts: list[dict]) -> list[tuple[str, str]]:
    return [
        (prompt, answer if isinstance(answer, str) else answer[0])
        for fact in facts
        for probes in fact["locality"].values()
        for prompt, answer in zip(probes["prompt"], probes["ground_truth"], strict=True)
    ]


def _tensors(update: WeightUpdate) -> dict[str, torch.Tensor]:
    return {f"{name}.{part}": t for name, delta in update.deltas.items() for part, t in delta.tensors().items()}


@pytest.mark.parametrize("batch", [1, 12])
def test_a_stream_and_a_batch_are_written_in_other_words_too_and_the_rest_stays(facts, batch) -> None:
    embedded = world.load()
    model, _ = embedded
    known = [asked for asked in _elsewhere(facts) if _right(embedded, [asked])]
    before, updates = state(model), []
    for start in range(0, len(facts), batch):
        updates.append(solve(*embedded, facts[start : start + batch], PRESET))
        updates[-1].commit(model)
    assert _right(embedded, _said(facts, "prompt")) == 1
    assert _right(embedded, _said(facts, "rephrase_prompt")) >= 0.75
    assert _right(embedded, known) >= 0.95
    for update in reversed(updates):
        update.revert(model)
    assert state(model) == before
    assert edits_in(model) == ()


def test_a_stream_goes_on_to_the_same_bits_in_another_process(facts) -> None:
    model, tok = world.load()
    for fact in facts[:3]:
        solve(model, tok, [fact], PRESET).commit(model)
    resumed, _ = world.load()  # as the runner brings a state back: weights, and keys of the edits in them
    prepare(resumed, tok, PRESET)
    resumed.load_state_dict(model.state_dict())
    recall(resumed, tuple({name: own.clone() for name, own in keys.items()} for keys in edits_in(model)))
    expected, found = (_tensors(solve(own, tok, [facts[3]], PRESET)) for own in (model, resumed))
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], own) for name, own in expected.items())


def test_facts_of_a_batch_are_written_a_few_at_a_time(facts) -> None:
    embedded = world.load()
    update = solve(*embedded, facts[:6], PRESET.replace(facts_together=2))
    with update.applied(embedded[0]):
        assert _right(embedded, _said(facts[:6], "prompt")) == 1
    assert len(update.info["course"]["steps"]) == 6
    together = solve(*embedded, facts[:6], PRESET)
    assert {name: len(keys) for name, keys in update.keys.items()} == {
        name: len(keys) for name, keys in together.keys.items()
    }


def test_keys_of_earlier_edits_are_left_alone_if_that_is_asked_for(facts) -> None:
    model, tok = world.load()
    apart = {}
    earlier = solve(model, tok, facts[:1], PRESET)
    earlier.commit(model)
    for keep in (True, False):
        update = solve(model, tok, facts[1:2], PRESET.replace(keep_edits=keep, kept_weight=10.0))
        apart[keep] = sum(delta.apply(earlier.keys[name]).norm() for name, delta in update.deltas.items())
    assert apart[True] < 0.5 * apart[False]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_it_writes_facts_without_subjects_to_the_later_half(shape) -> None:
    model = shape.build()
    bare = [{name: value for name, value in fact.items() if name != "subject"} for fact in FACTS]
    update = solve(model, tokenizer(), bare, TINY)
    place = place_of(model, TINY)
    assert tuple(update.deltas) == place.names
    assert len(place.layers) == (min(place.layers) or 1)
    likelihoods = update.info["target_nll"]
    assert sum(likelihoods["after"]) < sum(likelihoods["before"])


def test_nothing_is_measured_where_nothing_is_weighed(monkeypatch) -> None:
    monkeypatch.setattr(metric, "moments", lambda *args: pytest.fail("measured"))
    monkeypatch.setattr(metric, "cheapness", lambda *args: pytest.fail("measured"))
    update = solve(
        SHAPES[0].build(), tokenizer(), FACTS[:1], TINY.replace(mom2_adjustment=False, output_adjustment=False)
    )
    assert update.info["target_nll"]["after"] < update.info["target_nll"]["before"]
