"""A learning rate found by what a first step does to plain statements."""

from __future__ import annotations

import math

import pytest
import torch

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.plain_statements import movement, said
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.editors.gradient.learning_rate import Pace, set_rate
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

DRIFT = 1e-4
SETTINGS = {"layers": [0, 1], "append_eos": False, "step_drift": DRIFT, "num_steps": 4, "stop_nll": None}


class _Seen(Exception):
    """What is to be seen was seen, and no more is trained."""


def _hparams(name, **settings):
    return ALGORITHMS[name].hparams_class(**SETTINGS | settings)


def _state(adapter, optimizer):
    parameters = adapter.parameters()
    tensors = [p.detach().clone() for p in parameters] + [p.grad.clone() for p in parameters if p.grad is not None]
    return tensors, optimizer.state_dict()


def _same(one, other):
    return all(map(torch.equal, one[0], other[0])) and one[1] == other[1]


def _looked_at(monkeypatch, model, hparams):
    """The rate that is found, the KL of a step with it, and whether all was left as it was."""
    seen = []
    search = Pace.search

    def watched(self, model, adapter, optimizer, move):
        before = _state(adapter, optimizer)
        rate = search(self, model, adapter, optimizer, move)
        left = _same(before, _state(adapter, optimizer))
        was = said(model, self.rows)
        set_rate(optimizer, rate)
        move()
        seen.append((rate, movement(model, self.rows, was).kl, left))
        raise _Seen

    with monkeypatch.context() as patch:
        patch.setattr(Pace, "search", watched)
        with pytest.raises(_Seen):
            solve(model, tokenizer(), FACTS[:2], hparams)
    return seen[0]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("LoRA-BF", {}),
        ("GoRA", {"protection": "hard", "neighbour_softness": None, "init": "zero", "mom2_dataset": "samples"}),
        ("LoRA-BF", {"init": "keys", "evenness": 1.0}),
        ("DoRA", {}),
        ("LocFT-BF", {}),
        ("SVF", {}),
    ],
)
def test_a_step_at_the_rate_moves_the_statements_by_step_drift_and_the_search_leaves_no_trace(
    monkeypatch, name, more, optimizer
):
    rate, kl, left = _looked_at(monkeypatch, SHAPES[0].build(), _hparams(name, optimizer=optimizer, **more))
    assert rate > 0
    assert DRIFT / 2 < kl < 2 * DRIFT
    assert left


def test_adalora_goes_no_faster_than_its_factors_bear(monkeypatch):
    """Its first step moves E alone, and tells nothing of what A and B do from the second on."""
    rate, kl, left = _looked_at(monkeypatch, SHAPES[0].build(), _hparams("AdaLoRA"))
    assert rate == pytest.approx(0.1 * 0.02, rel=0.2)
    assert kl < DRIFT / 2
    assert left


def test_adalora_goes_down_the_gradient_as_far_as_the_statements_say(monkeypatch):
    _, kl, left = _looked_at(monkeypatch, SHAPES[0].build(), _hparams("AdaLoRA", optimizer="sgd"))
    assert DRIFT / 2 < kl < 2 * DRIFT
    assert left


def test_a_greater_step_drift_gives_a_greater_rate(monkeypatch):
    rates = [
        _looked_at(monkeypatch, SHAPES[0].build(), _hparams("LoRA-BF", step_drift=drift))[0] for drift in (1e-5, 1e-3)
    ]
    assert rates[1] / rates[0] == pytest.approx(10, rel=0.5)


def test_half_precision_finds_about_the_rate_of_full_precision(monkeypatch):
    """Rounding moves such a model further than the step."""
    half = SHAPES[1].build()
    full = SHAPES[1].build().float()
    settings = _hparams("LoRA-BF", step_drift=3e-6)
    rates = [_looked_at(monkeypatch, model, settings)[0] for model in (half, full)]
    assert rates[0] / rates[1] == pytest.approx(1, rel=0.5)


def test_the_rate_that_was_found_is_told_and_used(monkeypatch):
    model = SHAPES[0].build()
    rate, *_ = _looked_at(monkeypatch, model, _hparams("LoRA-BF"))
    found = solve(model, tokenizer(), FACTS[:2], _hparams("LoRA-BF"))
    given = solve(model, tokenizer(), FACTS[:2], _hparams("LoRA-BF", lr=rate))
    assert found.info["course"]["lr"] == given.info["course"]["lr"] == rate
    for name, delta in found.deltas.items():
        assert torch.equal(delta.matrix(), given.deltas[name].matrix())


def test_a_rate_that_is_given_is_taken_without_a_trial(monkeypatch):
    monkeypatch.setattr(Pace, "search", lambda *_: pytest.fail("a trial was made"))
    update = solve(SHAPES[0].build(), tokenizer(), FACTS[:1], _hparams("LoRA-BF", lr=2e-3))
    assert update.info["course"]["lr"] == 2e-3


def test_steps_that_move_nothing_tell_no_rate():
    """Answers that all earn the same reward have no gradient."""
    hparams = _hparams("SVF", objective="reinforce", answers=2, answer_length=2, num_steps=2)
    update = solve(SHAPES[0].build(), tokenizer(), FACTS[:1], hparams)
    assert update.info["course"]["lr"] is None
    assert all(norm == 0 for norm in update.norms().values())


def test_a_batch_about_every_statement_is_paced_all_the_same():
    everything = [
        {"prompt": "Avaria has a", "subject": "a", "target_new": "harbour"},
        {"prompt": "The river is", "subject": "i", "target_new": "long"},
    ]
    update = solve(SHAPES[0].build(), tokenizer(), everything, _hparams("LoRA-BF"))
    assert math.isfinite(update.info["course"]["lr"])
    assert update.info["drift"] is None


def test_a_model_that_can_read_no_statement_asks_for_a_rate(monkeypatch):
    monkeypatch.setattr("easyedit_ice.editors.gradient.solve.MEASURED", ())
    with pytest.raises(HyperParamsError, match=r"lr is None.*set lr"):
        solve(SHAPES[0].build(), tokenizer(), FACTS[:1], _hparams("LoRA-BF"))
