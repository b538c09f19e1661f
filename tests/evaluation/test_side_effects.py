"""What an edit does to the rest."""

from __future__ import annotations

import math

import pytest
import torch
from odd_tokenizers import chatting, rendered

from easyedit_ice.evaluation import side_effects as measuring
from easyedit_ice.evaluation.side_effects import WINDOW, Rest
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer
from easyedit_ice.text.chat import in_chat
from easyedit_ice.text.likely_answers import answers_right

TEXT = "The river that flows through Avaria is the Ell and it is long. " * 60
KNOWN = [("The capital of Avaria is", "Lodel"), ("Ommer lies on the river", "Ell"), ("Lodel is in", "Avaria")]
BOTH = pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])


@BOTH
def test_perplexity_is_that_of_so_many_tokens_each_predicted_within_its_window(shape):
    model, tok = shape.build(), tokenizer()
    start = tok.encode("")
    ids = tok.encode(TEXT)[len(start) :][: WINDOW + 40]
    losses = []
    for window in (ids[:WINDOW], ids[WINDOW:]):
        row = [*start, *window]
        with torch.no_grad():
            log_probs = model(input_ids=torch.tensor([row])).logits[0].log_softmax(-1)
        losses += [-log_probs[place - 1, row[place]].item() for place in range(max(1, len(start)), len(row))]
    point = Rest(tok, [], TEXT, WINDOW + 40).point(model)
    assert point.perplexity == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)
    assert point.rights == ()


def test_known_facts_are_asked_behind_the_contexts_in_turn():
    model, tok = SHAPES[0].build(), tokenizer()
    contexts = [lambda prompt: f"Ommer. {prompt}", lambda prompt: f"Ell is it. {prompt}"]
    asked = [(contexts[place % 2](prompt), answer) for place, (prompt, answer) in enumerate(KNOWN)]
    rest = Rest(tok, KNOWN, None, 0)
    assert list(rest.point(model, contexts).rights) == answers_right(model, tok, asked)
    assert list(rest.point(model).rights) == answers_right(model, tok, KNOWN)
    assert rest.point(model).perplexity is None


def test_in_a_chat_contexts_stand_in_the_users_turn(monkeypatch):
    tok, asked = chatting(), []
    rest = Rest(tok, KNOWN[:1], None, 0, in_chat(tok))
    monkeypatch.setattr(
        measuring, "answers_right", lambda model, tok, asked_now, asking: asked.append((asked_now, asking)) or [True]
    )
    rest.point(None, [lambda prompt: f"Ommer. {prompt}"])
    [([(prompt, _)], asking)] = asked
    assert asking.text(prompt) == rendered(tok, f"Ommer. {KNOWN[0][0]}")
