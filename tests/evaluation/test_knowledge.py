"""Which questions a model answers right."""

from __future__ import annotations

import json

import pytest
import torch
from odd_tokenizers import chatting, rendered

from easyedit_ice.evaluation import knowledge
from easyedit_ice.evaluation.knowledge import Knowledge
from easyedit_ice.runtime.cache import cache_root
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer
from easyedit_ice.text.chat import in_chat
from easyedit_ice.text.tokens import tokens

PROMPTS = ["The capital of Avaria is", "The river that flows through Ommer is the", "Lodel"]


def test_a_model_is_asked_once_and_another_one_anew(monkeypatch):
    asked = []
    ask = knowledge.rows_right
    monkeypatch.setattr(knowledge, "rows_right", lambda model, rows: asked.append(len(rows)) or ask(model, rows))
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


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_file_of_the_cache_is_made_anew(content):
    questions = [(prompt, "Ommer") for prompt in PROMPTS]
    model = SHAPES[0].build()
    found = Knowledge(model, tokenizer())(questions)
    for path in (cache_root() / "known").glob("*.json"):
        path.write_text(content)
    assert Knowledge(model, tokenizer())(questions) == found
    assert any(
        json.loads(path.read_text()) for path in (cache_root() / "known").glob("*.json") if path.read_text() != content
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


def test_in_a_chat_questions_are_the_users_turn_and_what_is_known_there_is_kept_apart(monkeypatch):
    model, tok, asked = SHAPES[0].build(), chatting(), []
    monkeypatch.setattr(knowledge, "rows_right", lambda model, rows: asked.extend(rows) or [True] * len(rows))
    Knowledge(model, tok)([(PROMPTS[0], "Lodel")])
    Knowledge(model, tok, in_chat(tok))([(PROMPTS[0], "Lodel")])
    assert [row.ids for row in asked] == [
        tokens(tok, f"{PROMPTS[0]} Lodel"),
        tokens(tok, f"{rendered(tok, PROMPTS[0])}Lodel"),
    ]
