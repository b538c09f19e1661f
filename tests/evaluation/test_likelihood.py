"""Which of several answers a model finds likelier."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.evaluation.likelihood import alternatives
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

QUESTIONS = [(fact["prompt"], (fact["target_new"], fact["ground_truth"])) for fact in FACTS]
QUESTIONS += [("The capital of Avaria is", ("a", "b", "Lodel", "Lodel Lodel"))]


def expected(model, prompt: str, answer: str) -> float:
    """One row at a time, by the definition."""
    tok = tokenizer()
    start, ids = len(tok.encode(prompt)), torch.tensor([tok.encode(f"{prompt} {answer}")])
    with torch.no_grad():
        log_probs = model(input_ids=ids).logits[0].float().log_softmax(-1)
    return log_probs[torch.arange(start - 1, ids.shape[1] - 1), ids[0, start:]].mean().item()


@pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])
def test_each_answer_has_its_mean_log_probability_per_token(shape):
    model = shape.build()
    for (prompt, answers), found in zip(QUESTIONS, alternatives(model, tokenizer(), QUESTIONS), strict=True):
        assert found == pytest.approx([expected(model, prompt, answer) for answer in answers], rel=1e-4)


def test_the_prompt_of_answers_of_one_token_runs_once(monkeypatch):
    model = SHAPES[0].build()
    rows = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    alternatives(model, tokenizer(), [("The capital of Avaria is", ("a", "b"))])
    assert rows == [1]


def test_a_space_at_the_end_of_the_prompt_is_not_doubled():
    model, answers = SHAPES[0].build(), ("Lodel", "Brinn")
    spaced, plain = alternatives(model, tokenizer(), [("It is ", answers), ("It is", answers)])
    assert spaced == plain


def test_no_questions_have_no_answers():
    assert alternatives(SHAPES[0].build(), tokenizer(), []) == []
