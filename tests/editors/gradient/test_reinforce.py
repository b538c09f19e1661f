"""Reinforcement by the model's own answers."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.editors.gradient import reinforce as module
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.editors.gradient.reinforce import DIVERGENCE, Reinforce, ReinforceSettings, reward
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

FP32 = pytest.mark.parametrize("shape", SHAPES[:4:2], ids=[shape.name for shape in SHAPES[:4:2]])
REQUESTS = EditRequest.prepare(FACTS[:2])
TARGET = fact_row(tokenizer(), REQUESTS[0], True).predicted


def _objective(model, **changes):
    settings = {"answers": 3, "answer_length": 4, "reward_baseline": "none", "reinforce_kl_weight": 0.0} | changes
    return Reinforce(model, tokenizer(), REQUESTS, ReinforceSettings(**settings), append_eos=True)


def _answering(monkeypatch, *answers):
    """Let the model answer every fact with these, in turn."""
    monkeypatch.setattr(
        module,
        "sample",
        lambda model, tok, prompts, **drawing: [answers[i % len(answers)] for i in range(len(prompts))],
    )


def test_an_answer_is_rewarded_only_if_it_is_the_whole_target_and_ends():
    assert reward((*TARGET,), TARGET, "exact") == 1
    assert reward(TARGET[:-1], TARGET, "exact") == -1
    assert reward((1, *TARGET), TARGET, "exact") == -1


def test_a_reward_by_tokens_grows_with_what_is_right_from_the_start():
    found = [reward(TARGET[:count], TARGET, "tokens") for count in range(len(TARGET) + 1)]
    assert found == pytest.approx([2 * count / len(TARGET) - 1 for count in range(len(TARGET) + 1)])
    assert reward((0, *TARGET[1:]), TARGET, "tokens") == -1


def test_right_answers_are_made_likelier_and_wrong_ones_less_likely(monkeypatch):
    _answering(monkeypatch, TARGET, (1, 2), (3,))
    terms = _objective(None).terms([0], 0)
    assert [term.weight for term in terms] == pytest.approx([len(TARGET) / 3, -2 / 3, -1 / 3])
    assert terms[0].row == fact_row(tokenizer(), REQUESTS[0], True)
    assert terms[1].row.predicted == (1, 2)


def test_with_their_mean_as_baseline_equal_rewards_move_nothing(monkeypatch):
    _answering(monkeypatch, (1, 2))
    assert [term.weight for term in _objective(None, reward_baseline="mean").terms([0], 0)] == [0, 0, 0]


def test_the_divergence_is_taken_on_the_same_answers(monkeypatch):
    _answering(monkeypatch, TARGET, (1, 2), (3,))
    terms = _objective(None, reinforce_kl_weight=0.6).terms([0], 0)
    pairs = list(zip(terms[::2], terms[1::2], strict=True))
    assert all(kl.objective == DIVERGENCE and kl.teacher == kl.row == own.row for own, kl in pairs)
    assert [kl.weight for _, kl in pairs] == pytest.approx([0.2] * 3)


def test_each_fact_answers_its_own_prompt(monkeypatch):
    _answering(monkeypatch, (1, 2))
    for fact, request in enumerate(REQUESTS):
        asked = fact_row(tokenizer(), request, True)
        for term in _objective(None).terms([0, 1], 0):
            if term.fact == fact:
                assert term.row.ids == (*asked.ids[: len(asked.ids) - asked.span], 1, 2)


def test_answers_are_drawn_anew_at_every_step():
    objective = _objective(SHAPES[0].build(), answers=8)
    torch.manual_seed(0)
    first, second = ([term.row for term in objective.terms([0], step)] for step in range(2))
    assert first != second


@FP32
def test_a_target_the_model_sometimes_says_becomes_likelier(shape):
    """Of one token, so that some of the answers of a random model are right."""
    model = shape.build()
    hparams = SVFHyperParams(
        objective="reinforce",
        target_modules=["all"],
        append_eos=False,
        answers=256,
        answer_length=1,
        reward="tokens",
        num_steps=30,
        lr=0.3,
        stop_nll=None,
        reinforce_kl_weight=0.0,
    )
    update = solve(model, tokenizer(), FACTS[:1], hparams)
    losses = [epoch["target"] for epoch in update.info["course"]["losses"]]
    assert losses[-1] < losses[0] - 0.05


def test_training_ends_once_the_target_is_likely_enough():
    model = SHAPES[0].build()
    hparams = SVFHyperParams(
        objective="reinforce", target_modules=["all"], answers=2, answer_length=2, num_steps=5, stop_nll=99.0
    )
    course = solve(model, tokenizer(), FACTS[:1], hparams).info["course"]
    assert course["learned"]
    assert course["steps"] == 1
