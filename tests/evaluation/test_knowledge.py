"""Which questions a model answers right."""

from __future__ import annotations

import json

import pytest
import torch

from easyedit_ice.cache import cache_root
from easyedit_ice.evaluation import knowledge
from easyedit_ice.evaluation.knowledge import Knowledge, answers_right
from easyedit_ice.testing.models import SHAPES, tokenizer

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
    assert answers_right(model, tok, questions) == expected
    assert answers_right(model, tok, questions[::-1]) == expected[::-1]


def test_a_model_is_asked_once_and_another_one_anew(monkeypatch):
    asked = []
    ask = knowledge._ask
    monkeypatch.setattr(knowledge, "_ask", lambda model, rows: asked.append(len(rows)) or ask(model, rows))
    questions = [(prompt, "Lodel") for prompt in PROMPTS]
    model = SHAPES[0].build()
    first = Knowledge(model, tokenizer())(questions[:2])
    assert Knowledge(model, tokenizer())(questions)[:2] == first
    assert asked == [2, 1]
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    other = SHAPES[0].build()
    other.load_state_dict(model.state_dict())
    Knowledge(other, tokenizer())(questions)
    assert asked == [2, 1, 3]


def test_a_damaged_file_of_the_cache_is_made_anew():
    questions = [(prompt, "Ommer") for prompt in PROMPTS]
    model = SHAPES[0].build()
    found = Knowledge(model, tokenizer())(questions)
    for path in (cache_root() / "known").glob("*.json"):
        path.write_text("{")
    assert Knowledge(model, tokenizer())(questions) == found
    assert any(
        json.loads(path.read_text()) for path in (cache_root() / "known").glob("*.json") if path.read_text() != "{"
    )


def test_the_first_known_ones_are_found_without_asking_all(monkeypatch):
    monkeypatch.setattr(knowledge, "AT_A_TIME", 2)
    known = Knowledge(SHAPES[0].build(), tokenizer())
    monkeypatch.setattr(Knowledge, "__call__", lambda self, questions: [q[1] == "yes" for q in questions])
    questions = [("p", answer) for answer in ("no", "yes", "no", "yes", "yes", "no", "no", "yes")]
    assert known.first(questions, 2) == ([1, 3], 4)
    assert known.first(questions, 3) == ([1, 3, 4], 6)
    assert known.first(questions, 9) == ([1, 3, 4, 7], 8)
    assert known.first(questions, None) == ([1, 3, 4, 7], 8)
