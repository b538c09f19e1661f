"""Statements of the fact before its question."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient import contexts as module
from easyedit_ice.editors.gradient.contexts import TEMPLATES, contexts
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

OWN = ("Lodel became Avaria's capital.", "Avaria is ruled from Lodel. ")
REQUESTS = [EditRequest.from_dict({**FACTS[0], "context": OWN}), *EditRequest.prepare(FACTS[1:])]


def _contexts(sources, count=4, seed=0, templates=TEMPLATES, model=None):
    settings = {"sources": sources, "templates": templates, "count": count, "seed": seed}
    return contexts(model, tokenizer(), REQUESTS, **settings)


def test_a_template_states_the_fact():
    found = _contexts(["template"], count=1, templates=["So {fact}! "])
    assert [own for (own,) in found] == [f"So {r.prompt}{r.completion}! " for r in REQUESTS]


def test_a_template_may_name_prompt_and_target():
    found = _contexts(["template"], count=1, templates=["{target}: {prompt}? "])
    assert found[0] == ["Lodel: The capital of Avaria is? "]


def test_templates_are_not_repeated_before_all_were_used():
    for own in _contexts(["template"], count=len(TEMPLATES)):
        assert len(set(own)) == len(TEMPLATES)


@pytest.mark.parametrize("sources", [["template"], ["record"], ["template", "record"]])
@pytest.mark.parametrize("count", [1, 2, 5, 13])
def test_each_fact_gets_as_many_as_asked_for(sources, count):
    assert [len(own) for own in _contexts(sources, count)] == [count] * len(REQUESTS)


def test_the_seed_alone_decides():
    assert _contexts(["template"], seed=1) == _contexts(["template"], seed=1)
    assert _contexts(["template"], seed=1) != _contexts(["template"], seed=2)


def test_the_records_own_statements_are_used_and_others_fall_back_to_templates():
    own, *others = _contexts(["record"], count=2, templates=["So {fact}! "])
    assert sorted(own) == ["Avaria is ruled from Lodel. ", "Lodel became Avaria's capital. "]
    assert all(set(other) == {f"So {r.prompt}{r.completion}! "} for r, other in zip(REQUESTS[1:], others, strict=True))


def test_the_sources_share_the_count():
    own = _contexts(["template", "record"], count=5, templates=["So {fact}! "])[0]
    assert sum(statement.startswith("So ") for statement in own) == 3
    assert sum(statement.strip() in map(str.strip, OWN) for statement in own) == 2


def test_the_models_own_words_follow_a_template(monkeypatch):
    sentence = " They say so every day. And more"
    written = tuple(tokenizer().encode(sentence))
    monkeypatch.setattr(module, "sample", lambda model, tok, prefixes, length: [written] * len(prefixes))
    own = _contexts(["template", "model"], count=2, templates=["So {fact}! "])[0]
    stated = "So The capital of Avaria is Lodel!"
    assert own == [f"{stated} ", f"{stated} They say so every day. "]


@pytest.mark.parametrize("written", ["", " no end in sight", "."])
def test_where_the_model_writes_no_sentence_the_template_stays(monkeypatch, written):
    ids = tuple(tokenizer().encode(written))
    monkeypatch.setattr(module, "sample", lambda model, tok, prefixes, length: [ids] * len(prefixes))
    assert _contexts(["model"], count=1, templates=["So {fact}! "])[0] == ["So The capital of Avaria is Lodel! "]


@pytest.mark.parametrize("sources", [["template"], ["record"], ["model"], ["template", "record", "model"]])
def test_each_ends_where_the_question_goes_on(sources):
    model = SHAPES[0].build()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = _contexts(sources, count=3, model=model)
    assert [len(own) for own in found] == [3] * len(REQUESTS)
    assert all(statement[-1] == " " and statement[-2] != " " for own in found for statement in own)
