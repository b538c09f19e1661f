"""Whether a model would write given answers."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.testing.models import SHAPES, tokenizer
from easyedit_ice.text import answers
from easyedit_ice.text.answers import answers_right

PROMPTS = ["The capital of Avaria is", "The river that flows through Ommer is the", "Lodel"]
BOTH = pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])


def _says(model, prompt, length):
    """The likeliest answer, as a text that the tokenizer takes apart in the same way; none if there is no such text."""
    tok = tokenizer()
    ids = tok.encode(prompt)
    start = len(ids)
    for _ in range(length):
        with torch.no_grad():
            ids.append(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item())
    answer = tok.decode(ids[start:])
    return answer[1:] if answer[:1] == " " and tok.encode(prompt + answer) == ids else None


@BOTH
def test_an_answer_is_right_if_the_model_would_write_it_and_wrong_if_any_token_differs(shape):
    model, tok = shape.build(), tokenizer()
    questions, expected = [], []
    for prompt in PROMPTS:
        for answer in ("Lodel", "Ell and Ommer", _says(model, prompt, 1), _says(model, prompt, 3)):
            if answer:
                ids, whole = tok.encode(prompt), tok.encode(f"{prompt} {answer}")
                with torch.no_grad():
                    likeliest = model(input_ids=torch.tensor([whole])).logits[0].argmax(-1).tolist()
                questions.append((prompt, answer))
                expected.append(likeliest[len(ids) - 1 : -1] == whole[len(ids) :])
    assert set(expected) == {True, False}
    assert answers_right(model, tok, questions) == expected
    assert answers_right(model, tok, questions[::-1]) == expected[::-1]


def test_no_answer_depends_on_those_beside_it(monkeypatch):
    model, tok = SHAPES[0].build(), tokenizer()
    questions = [(prompt, answer) for prompt in PROMPTS for answer in ("Lodel", _says(model, prompt, 1)) if answer]
    together = answers_right(model, tok, questions)
    monkeypatch.setitem(answers.TOKENS, "cpu", 1)
    assert answers_right(model, tok, questions) == together


def test_the_model_is_left_as_it_was_and_asked_in_evaluation_mode():
    model, tok = SHAPES[0].build(), tokenizer()
    expected = answers_right(model, tok, [(PROMPTS[0], "Lodel")])
    model.train()
    assert answers_right(model, tok, [(PROMPTS[0], "Lodel")]) == expected
    assert all(module.training for module in model.modules())
