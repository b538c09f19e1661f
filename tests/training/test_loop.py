"""All facts together, each resting once it is learned."""

from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
import torch

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.errors import TrainingDivergedError
from easyedit_ice.requests import EditRequest
from easyedit_ice.testing.models import FACTS, SHAPES, tokenizer
from easyedit_ice.training import loop
from easyedit_ice.training.adapters import LowRankAdapter
from easyedit_ice.training.loop import train
from easyedit_ice.training.objectives import FineTuning, Objective, Term
from easyedit_ice.training.rows import Row

REQUESTS = EditRequest.prepare(FACTS)


@pytest.fixture
def model():
    return SHAPES[0].build()


@pytest.fixture
def adapter(model):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LowRankAdapter(model, ModelAnatomy(model).match(["all"]), rank=4, alpha=4.0, dropout=0.0)


class _Spy(FineTuning):
    """Fine-tuning that notes which facts each mini-batch holds."""

    def __init__(self) -> None:
        super().__init__(tokenizer(), REQUESTS, append_eos=False)
        self.batches: list[tuple[int, list[int]]] = []

    def terms(self, facts, step):
        self.batches.append((step, list(facts)))
        return super().terms(facts, step)


def _train(model, adapter, *objectives, **changes):
    settings = {
        "epochs": 3,
        "lr": 1e-2,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "mini_batch_size": 2,
        "stop_below": {},
        "clamp": None,
        "autocast": nullcontext(),
        "seed": 0,
    }
    return train(model, adapter, objectives, len(REQUESTS), **settings | changes)


def _prescribe(monkeypatch, losses):
    """Let the loop see the given losses of the facts, epoch by epoch, with a gradient that leads nowhere."""
    calls = {}

    def prescribed(model, terms):
        values = []
        for term in terms:
            epoch = calls.get(term.fact, 0)
            calls[term.fact] = epoch + 1
            values.append(losses[term.fact][min(epoch, len(losses[term.fact]) - 1)])
        zero = next(p for p in model.parameters() if p.requires_grad).sum() * 0
        return torch.tensor(values) + zero

    monkeypatch.setattr(loop, "_losses", prescribed)


def _seen(spy, epoch):
    return sorted(fact for step, facts in spy.batches if step == epoch for fact in facts)


def test_every_epoch_passes_over_all_facts_in_mini_batches(model, adapter):
    spy = _Spy()
    _train(model, adapter, spy)
    for epoch in range(3):
        assert _seen(spy, epoch) == [0, 1, 2]
    assert [len(facts) for _, facts in spy.batches] == [2, 1] * 3


def test_the_seed_shuffles_the_facts(model, adapter):
    orders = []
    for seed in (0, 0, 1):
        spy = _Spy()
        _train(model, adapter, spy, seed=seed, epochs=6, lr=1e-9)
        orders.append(spy.batches)
    assert orders[0] == orders[1] != orders[2]


def test_without_a_stopping_rule_the_number_of_steps_is_fixed(model, adapter):
    course = _train(model, adapter, _Spy(), epochs=5, lr=5e-2)
    assert (course.steps, len(course.losses), course.learned) == (5, 5, False)


def test_training_lowers_the_loss_of_all_facts(model, adapter):
    course = _train(model, adapter, _Spy(), epochs=20)
    assert course.losses[-1]["target"] < 0.5 * course.losses[0]["target"]


def test_training_stops_when_every_fact_is_learned(model, adapter):
    course = _train(model, adapter, _Spy(), epochs=300, stop_below={"target": 0.5})
    assert course.learned
    assert course.steps < 300
    assert course.losses[-1]["target"] < 0.5


def test_a_learned_fact_rests(model, adapter, monkeypatch):
    _prescribe(monkeypatch, {0: [0.1], 1: [9.0], 2: [9.0]})
    spy = _Spy()
    _train(model, adapter, spy, stop_below={"target": 0.5})
    assert [_seen(spy, epoch) for epoch in range(3)] == [[0, 1, 2], [1, 2], [1, 2]]


def test_facts_learned_at_different_times_are_looked_at_together_before_the_end(model, adapter, monkeypatch):
    _prescribe(monkeypatch, {0: [0.1], 1: [9.0, 0.1], 2: [9.0, 9.0, 0.1]})
    spy = _Spy()
    course = _train(model, adapter, spy, epochs=9, stop_below={"target": 0.5})
    assert [_seen(spy, epoch) for epoch in range(5)] == [[0, 1, 2], [1, 2], [2], [0, 1, 2], []]
    assert (course.learned, course.steps) == (True, 4)


def test_a_fact_forgotten_meanwhile_is_trained_again(model, adapter, monkeypatch):
    _prescribe(monkeypatch, {0: [0.1, 9.0, 0.1], 1: [9.0, 0.1], 2: [0.1]})
    spy = _Spy()
    course = _train(model, adapter, spy, epochs=9, stop_below={"target": 0.5})
    assert [_seen(spy, epoch) for epoch in range(5)] == [[0, 1, 2], [1], [0, 1, 2], [0], [0, 1, 2]]
    assert course.learned


def test_a_fact_is_learned_only_when_every_rule_holds(model, adapter, monkeypatch):
    class Second(_Spy):
        name = "second"

    losses = {0: [0.1, 9.0, 0.1, 0.1], 1: [0.1], 2: [0.1]}
    _prescribe(monkeypatch, losses)
    spy = _Spy()
    _train(model, adapter, spy, Second(), epochs=2, stop_below={"target": 0.5, "second": 0.5})
    assert _seen(spy, 1) == [0]


def test_a_learned_fact_beside_an_unlearned_one_gives_no_gradient(model, adapter):
    taught = []

    class Counting(torch.optim.AdamW):
        def step(self):
            taught.append([parameter.grad.clone() for parameter in adapter.parameters()])

    def gradient(stop_below, facts):
        taught.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim, "AdamW", Counting)
            objective = FineTuning(tokenizer(), [REQUESTS[fact] for fact in facts], append_eos=False)
            settings = {"epochs": 1, "lr": 1e-2, "weight_decay": 0.0, "max_grad_norm": None, "mini_batch_size": 9}
            train(
                model, adapter, [objective], len(facts), **settings,
                stop_below=stop_below, clamp=None, autocast=nullcontext(), seed=0,
            )
        return taught[0]

    both = [FineTuning(tokenizer(), REQUESTS, append_eos=False).terms([fact], 0) for fact in (0, 1)]
    with torch.no_grad():
        first, second = (loop._losses(model, terms).item() for terms in both)
    easy, hard = (0, 1) if first < second else (1, 0)
    between = {"target": (first + second) / 2}
    for got, expected in zip(gradient(between, [easy, hard]), gradient({}, [hard]), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-4)


def test_the_weight_change_stays_within_the_bound(model, adapter):
    _train(model, adapter, _Spy(), epochs=5, lr=5e-2, clamp=1e-3)
    assert max(delta.matrix().abs().max().item() for delta in adapter.deltas().values()) <= 1.001e-3


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_an_error_by_name(model, adapter, value):
    class Broken(Objective):
        name = "broken"

        def terms(self, facts, step):
            row = Row((5, 6, 7), 2)
            return [Term(self.name, row, 1.0, fact, torch.full((2, len(tokenizer())), value)) for fact in facts]

    with pytest.raises(TrainingDivergedError, match="lower lr"):
        _train(model, adapter, Broken())


def test_a_learning_rate_far_too_high_is_an_error_by_name(model, adapter):
    with pytest.raises(TrainingDivergedError, match="the loss is"):
        _train(model, adapter, _Spy(), epochs=10, lr=1e30)


def test_losses_of_no_fact_are_reported_and_do_not_keep_facts_from_resting(model, adapter):
    class Shared(Objective):
        name = "shared"

        def terms(self, facts, step):
            return [Term(self.name, Row((5, 6, 7), 2), 0.0, None)]

    spy = _Spy()
    course = _train(model, adapter, spy, Shared(), epochs=2, stop_below={"target": 99.0})
    assert course.learned
    assert set(course.losses[0]) == {"target", "shared"}
