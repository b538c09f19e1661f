"""All facts together, each resting once it is learned."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import pytest
import torch

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient import trainer as loop
from easyedit_ice.editors.gradient.adapters import LowRankAdapter
from easyedit_ice.editors.gradient.objectives import FineTuning, Objective, Term
from easyedit_ice.editors.gradient.protection.projector import Protection
from easyedit_ice.editors.gradient.schedule import Schedule
from easyedit_ice.editors.gradient.teacher import Teacher
from easyedit_ice.editors.gradient.trainer import Trained, train
from easyedit_ice.errors import TrainingDivergedError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import Row, predict

REQUESTS = EditRequest.prepare(FACTS)


@pytest.fixture
def model():
    return _decided()


def _decided():
    """A model whose logits are as far apart as a trained one's, so that it can become certain."""
    model = SHAPES[0].build()
    with torch.no_grad():
        model.lm_head.weight.mul_(10)
    return model


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


class _Shared(Objective):
    """A text that concerns all facts."""

    name = "shared"

    def terms(self, facts, step):
        return []

    def shared_terms(self):
        return [Term(self.name, Row((5, 6, 7), 2), 0.3, None)]


def _train(model, adapter, *objectives, stop_below=None, protection=None, bound=None, seed=0, **changes):
    for objective in objectives:
        objective.stop = (stop_below or {}).get(objective.name)
    settings = {"num_steps": 3, "lr": 1e-2, "mini_batch_size": 2, "micro_batch_size": 2} | changes
    trained = Trained(adapter, protection, bound)
    return train(model, trained, objectives, len(REQUESTS), Schedule(**settings), seed=seed)


def _prescribe(monkeypatch, losses):
    """Let the loop see the given losses of the facts, epoch by epoch, with a gradient that leads nowhere."""
    calls = {}

    def prescribed(model, adapter, terms):
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
        _train(model, adapter, spy, seed=seed, num_steps=6, lr=1e-9)
        orders.append(spy.batches)
    assert orders[0] == orders[1] != orders[2]


def test_without_a_stopping_rule_the_number_of_steps_is_fixed(model, adapter):
    course = _train(model, adapter, _Spy(), num_steps=5, lr=5e-2)
    assert (course.steps, len(course.losses), course.learned) == (5, 5, False)


def test_training_lowers_the_loss_of_all_facts(model, adapter):
    course = _train(model, adapter, _Spy(), num_steps=20)
    assert course.losses[-1]["target"] < 0.5 * course.losses[0]["target"]


def test_training_stops_when_every_fact_is_learned(model, adapter):
    course = _train(model, adapter, _Spy(), num_steps=100, stop_below={"target": 3.0})
    assert course.learned
    assert course.steps < 100
    assert course.losses[-1]["target"] < 3.0 < course.losses[0]["target"]


def test_a_learned_fact_rests(model, adapter, monkeypatch):
    _prescribe(monkeypatch, {0: [0.1], 1: [9.0], 2: [9.0]})
    spy = _Spy()
    _train(model, adapter, spy, stop_below={"target": 0.5})
    assert [_seen(spy, epoch) for epoch in range(3)] == [[0, 1, 2], [1, 2], [1, 2]]


def test_facts_learned_at_different_times_are_looked_at_together_before_the_end(model, adapter, monkeypatch):
    _prescribe(monkeypatch, {0: [0.1], 1: [9.0, 0.1], 2: [9.0, 9.0, 0.1]})
    spy = _Spy()
    course = _train(model, adapter, spy, num_steps=9, stop_below={"target": 0.5})
    assert [_seen(spy, epoch) for epoch in range(5)] == [[0, 1, 2], [1, 2], [2], [0, 1, 2], []]
    assert (course.learned, course.steps) == (True, 4)


def test_a_fact_forgotten_meanwhile_is_trained_again(model, adapter, monkeypatch):
    _prescribe(monkeypatch, {0: [0.1, 9.0, 0.1], 1: [9.0, 0.1], 2: [0.1]})
    spy = _Spy()
    course = _train(model, adapter, spy, num_steps=9, stop_below={"target": 0.5})
    assert [_seen(spy, epoch) for epoch in range(5)] == [[0, 1, 2], [1], [0, 1, 2], [0], [0, 1, 2]]
    assert course.learned


def test_a_fact_is_learned_only_when_every_rule_holds(model, adapter, monkeypatch):
    class Second(_Spy):
        name = "second"

    losses = {0: [0.1, 9.0, 0.1, 0.1], 1: [0.1], 2: [0.1]}
    _prescribe(monkeypatch, losses)
    spy = _Spy()
    _train(model, adapter, spy, Second(), num_steps=2, stop_below={"target": 0.5, "second": 0.5})
    assert _seen(spy, 1) == [0]


def _gradient(model, adapter, *objectives, **changes):
    """The gradient of the first optimiser step."""
    taken = []

    class Noting(torch.optim.AdamW):
        def step(self):
            taken.append([parameter.grad.clone() for parameter in adapter.parameters()])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", Noting)
        _train(model, adapter, *objectives, num_steps=1, max_grad_norm=None, mini_batch_size=9, **changes)
    return taken[0]


@pytest.mark.parametrize("evenness", [0.5, 1.0, 1.5, 2.0])
def test_evenness_gives_projections_gradients_of_like_length_in_their_own_directions(model, adapter, evenness):
    plain, even = (_gradient(model, adapter, _Spy(), evenness=given) for given in (0.0, evenness))
    counts = [len(own) for own in adapter.trained().values()]
    before, after = ([torch.cat([part.flatten() for part in own]) for own in _parted(g, counts)] for g in (plain, even))
    lengths = torch.stack([gradient.norm() for gradient in before])
    expected = lengths ** (1 - evenness)
    found = torch.stack([gradient.norm() for gradient in after])
    torch.testing.assert_close(found / found.norm(), expected / expected.norm())
    torch.testing.assert_close(found.norm(), lengths.norm())
    for one, other in zip(before, after, strict=True):
        assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.9999


def test_evenness_is_of_what_protection_leaves_of_the_gradients(model, adapter):
    with torch.no_grad():
        for index, parameter in enumerate(adapter.parameters()):
            parameter.normal_(generator=torch.Generator().manual_seed(index))
    factors = {
        name: torch.eye(reader.shape[-1])[:, : reader.shape[-1] - 1 - 3 * index]
        for index, (name, reader) in enumerate(adapter.readers().items())
    }
    even = _gradient(model, adapter, _Spy(), evenness=1.0, protection=Protection(adapter, factors))
    counts = [len(own) for own in adapter.trained().values()]
    lengths = [torch.cat([part.flatten() for part in own]).norm().item() for own in _parted(even, counts)]
    assert lengths == pytest.approx([lengths[0]] * len(lengths), rel=1e-4)


def _parted(parts, counts):
    """A list in pieces of these lengths."""
    pieces = iter(parts)
    return [list(islice(pieces, count)) for count in counts]


class _Only(_Spy):
    """The loss of some of the facts only."""

    def __init__(self, *facts):
        super().__init__()
        self._facts = facts

    def terms(self, facts, step):
        return [replace(term, weight=term.weight * (term.fact in self._facts)) for term in super().terms(facts, step)]


def test_a_learned_fact_beside_unlearned_ones_gives_no_gradient(model, adapter):
    losses = {}
    for fact in range(3):
        with torch.no_grad():
            losses[fact] = loop._losses(model, Teacher(model, adapter.disabled), _Spy().terms([fact], 0)).item()
    easy, *hard = sorted(losses, key=losses.get)
    between = {"target": (losses[easy] + losses[hard[0]]) / 2}
    resting = _gradient(model, adapter, _Spy(), stop_below=between)
    for got, expected in zip(resting, _gradient(model, adapter, _Only(*hard)), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-7, rtol=1e-4)


@pytest.mark.parametrize("micro", [1, 2])
def test_smaller_passes_give_the_same_gradient(model, adapter, micro):
    whole = _gradient(model, adapter, _Spy(), _Shared(), micro_batch_size=3)
    for got, expected in zip(_gradient(model, adapter, _Spy(), _Shared(), micro_batch_size=micro), whole, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("static", [True, False])
def test_a_static_teacher_is_the_model_without_the_adapter_and_a_dynamic_one_the_model_as_it_is(model, adapter, static):
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.1)
    row, taught = Row((5, 6, 7, 8), 2), Row((9, 5, 6, 7, 8), 2)
    (loss,) = loop._losses(model, Teacher(model, adapter.disabled), [Term("any", row, 1.0, 0, taught, static)])
    base = _decided() if static else model
    with torch.no_grad():
        expected = predict(model, [row]).kl_from(predict(base, [taught]).log_probs)
    torch.testing.assert_close(loss, expected[0])


def test_the_teacher_gets_no_gradient(model, adapter):
    row = Row((5, 6, 7, 8), 2)
    loop._losses(model, Teacher(model, adapter.disabled), [Term("any", row, 1.0, 0, row, False)]).sum().backward()
    assert all(parameter.grad.abs().max() < 1e-6 for parameter in adapter.parameters())


def test_the_weight_change_stays_within_the_bound(model, adapter):
    _train(model, adapter, _Spy(), num_steps=5, lr=5e-2, bound=1e-3)
    assert max(delta.matrix().abs().max().item() for delta in adapter.deltas().values()) <= 1.001e-3


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_an_error_by_name(model, adapter, value):
    with torch.no_grad():
        model.lm_head.weight[0, 0] = value
    with pytest.raises(TrainingDivergedError, match="the loss is nan; lower lr"):
        _train(model, adapter, _Spy())


def test_a_learning_rate_far_too_high_is_an_error_by_name(model, adapter):
    with pytest.raises(TrainingDivergedError, match="the loss is"):
        _train(model, adapter, _Spy(), num_steps=10, lr=1e30)


def test_losses_of_no_fact_are_reported_and_do_not_keep_facts_from_resting(model, adapter):
    course = _train(model, adapter, _Spy(), _Shared(), num_steps=2, stop_below={"target": 99.0})
    assert course.learned
    assert set(course.losses[0]) == {"target", "shared"}
