"""What a model answers, under teacher forcing and freely."""

from __future__ import annotations

import sys
from copy import copy

import pytest
import torch

from easyedit_ice.evaluation import observe, questions
from easyedit_ice.evaluation.observe import Observation
from easyedit_ice.evaluation.questions import Question
from easyedit_ice.requests import EditRequest
from easyedit_ice.testing.models import FACTS, SHAPES, tokenizer

QUESTIONS = [question for fact in FACTS for question in questions(EditRequest.from_dict(fact))]
FP32 = pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])


def _greedy(model, text: str, length: int) -> str:
    tok = tokenizer()
    ids = tok.encode(text)
    start = len(ids)
    for _step in range(length):
        with torch.no_grad():
            ids.append(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item())
        if ids[-1] == tok.eos_token_id:
            break
    return tok.decode(ids[start:], skip_special_tokens=True).strip()


@FP32
def test_token_accuracy_is_the_share_of_expected_tokens_that_are_the_likeliest(shape):
    model, tok = shape.build(), tokenizer()
    for question, seen in zip(QUESTIONS, observe(model, tok, QUESTIONS), strict=True):
        prompt, whole = tok.encode(question.prompt), tok.encode(f"{question.prompt} {question.answer}")
        with torch.no_grad():
            likeliest = model(input_ids=torch.tensor([whole])).logits[0].argmax(-1).tolist()
        expected = whole[len(prompt) :]
        predicted = likeliest[len(prompt) - 1 : -1]
        assert seen.expected == tuple(expected)
        assert seen.predicted == tuple(predicted)
        assert seen.token_accuracy == sum(map(int.__eq__, expected, predicted)) / len(expected)


@FP32
def test_what_is_generated_is_the_greedy_continuation_of_the_prompt_alone(shape):
    model = shape.build()
    for question, seen in zip(QUESTIONS, observe(model, tokenizer(), QUESTIONS, max_new_tokens=5), strict=True):
        assert seen.generated == _greedy(model, question.prompt, 5)


def test_observations_come_in_the_order_of_the_questions_whatever_the_batches(monkeypatch):
    model = SHAPES[0].build()
    together = observe(model, tokenizer(), QUESTIONS)
    monkeypatch.setattr(sys.modules[observe.__module__], "BATCH", 1)
    assert observe(model, tokenizer(), QUESTIONS) == together
    assert observe(model, tokenizer(), QUESTIONS[::-1]) == together[::-1]


def test_a_space_at_the_end_of_the_prompt_is_not_doubled():
    spaced = Question("rewrite", "The capital of Avaria is ", "Lodel", ("Lodel",))
    plain = Question("rewrite", "The capital of Avaria is", "Lodel", ("Lodel",))
    one, other = observe(SHAPES[0].build(), tokenizer(), [spaced, plain])
    assert one == other


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_model_is_asked_in_evaluation_mode_and_left_as_it_was(training, side):
    model, tok = SHAPES[0].build(), copy(tokenizer())
    expected = observe(model, tokenizer(), QUESTIONS)
    model.train(training)
    tok.padding_side = side
    state = torch.get_rng_state()
    assert observe(model, tok, QUESTIONS) == expected
    assert all(module.training is training for module in model.modules())
    assert tok.padding_side == side
    assert torch.equal(torch.get_rng_state(), state)


def test_observations_agree_by_the_share_of_equal_places():
    one = Observation((1, 2, 3, 4), (5, 6, 7, 8), "x")
    other = Observation((1, 2, 3, 4), (5, 6, 7, 9), "y")
    assert one.agrees_with(other) == other.agrees_with(one) == 0.75
    assert one.agrees_with(one) == 1.0
