"""Which wordings of a new fact a model follows."""

from __future__ import annotations

import torch
from odd_tokenizers import chatting, rendered

from easyedit_ice import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.ice_lora import IceLoraHyperParams
from easyedit_ice.editors.gradient import wordings
from easyedit_ice.editors.gradient.contexts import TEMPLATES, filled
from easyedit_ice.editors.gradient.wordings import (
    WORDINGS,
    followed_wordings,
    near_best,
    plain_requests,
    shares_followed,
)
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.chat import PLAIN, in_chat
from easyedit_ice.text.plain_facts import PLAIN_FACTS

SHARES = {"a": 0.5, "b": 1.0, "c": 0.8, "d": 0.79, "e": 0.9}


def test_wordings_near_the_best_are_taken_the_best_first():
    assert near_best(SHARES) == ["b", "e", "c"]


def test_all_are_taken_where_none_is_followed_and_the_user_is_told(monkeypatch, caplog):
    monkeypatch.setattr(wordings, "wording_shares", lambda model, tok, asking: dict.fromkeys("abc", 0.0))
    assert followed_wordings(None, None) == ["a", "b", "c"]
    assert "under no wording" in caplog.text


def test_the_share_is_that_of_facts_answered_as_the_context_states_them(monkeypatch):
    asked = []

    def follows(model, tok, questions, asking):
        asked.extend(questions)
        return ["Imagine" in prompt and "Lodel" in answer for prompt, answer in questions]

    monkeypatch.setattr(wordings, "answers_right", follows)
    requests = [
        EditRequest.from_dict({"prompt": f"The capital of {name} is", "target_new": target})
        for name, target in (("Avaria", "Lodel"), ("Ommer", "Ell"))
    ]
    found = shares_followed(None, None, requests, ("Imagine that {fact}. ", "{fact}. {fact}. "))
    assert found == {"Imagine that {fact}. ": 0.5, "{fact}. {fact}. ": 0.0}
    assert asked[0] == ("Imagine that The capital of Avaria is Lodel. The capital of Avaria is", "Lodel")


def test_a_model_is_tried_once_and_its_edits_change_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tried = []
    shares = dict(zip(WORDINGS, torch.linspace(0, 1, len(WORDINGS)).tolist(), strict=True))
    monkeypatch.setattr(wordings, "shares_followed", lambda *given: tried.append(given) or shares)
    model, tok = SHAPES[0].build(), tokenizer()
    first = followed_wordings(model, tok)
    assert first == near_best(shares)
    with torch.no_grad():
        model.get_input_embeddings().weight.add_(0.01)
    assert followed_wordings(model, tok) == first
    assert followed_wordings(SHAPES[0].build(), tok) == first, "another object with the same weights finds the cache"
    assert len(tried) == 1


def test_what_an_edited_model_follows_is_not_kept_for_the_unedited_one(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tried = []
    shares = dict.fromkeys(WORDINGS, 0.5)
    monkeypatch.setattr(wordings, "shares_followed", lambda *given: tried.append(given) or shares)
    model, tok = SHAPES[0].build(), tokenizer()
    baseline_of(model)
    with torch.no_grad():
        model.get_input_embeddings().weight.add_(0.01)
    followed_wordings(model, tok)
    followed_wordings(SHAPES[0].build(), tok)
    assert len(tried) == 2


def test_in_a_chat_wordings_are_tried_in_the_users_turn_and_apart_from_the_bare_text(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model, tok, asked = SHAPES[0].build(), chatting(), {}

    def follows(model, tok, questions, asking):
        asked[asking] = questions
        return [asking != PLAIN] * len(questions)

    monkeypatch.setattr(wordings, "answers_right", follows)
    assert set(wordings.wording_shares(model, tok, in_chat(tok)).values()) == {1.0}
    assert set(wordings.wording_shares(model, tok).values()) == {0.0}
    fact = PLAIN_FACTS[0]
    stated = filled(WORDINGS[-1], EditRequest.from_dict(fact.request()))
    assert asked[in_chat(tok)][0] == (rendered(tok, stated + fact.prompt), fact.other)


def test_facts_are_told_anew_that_the_model_knows_or_any_where_it_knows_too_few(monkeypatch):
    known = {fact.prompt for fact in PLAIN_FACTS[5:25]}
    monkeypatch.setattr(
        wordings, "answers_right", lambda model, tok, asked, _: [prompt in known for prompt, _ in asked]
    )
    requests = plain_requests(None, None)
    assert len(requests) == wordings.MOST_FACTS
    assert {request.prompt for request in requests} <= known
    known = {PLAIN_FACTS[0].prompt}
    assert len(plain_requests(None, None)) == wordings.MOST_FACTS


def test_ice_takes_the_followed_wordings_unless_it_is_given_some(monkeypatch):
    chosen = ["Say that {fact}. "]
    monkeypatch.setattr("easyedit_ice.editors.gradient.in_context.followed_wordings", lambda model, tok, asking: chosen)
    few = {"num_steps": 1, "num_contexts": 1, "continuation_samples": 1, "free_samples": 1, "layers": [0]}
    for given, used in ((None, chosen), (list(TEMPLATES), list(TEMPLATES))):
        hparams = IceLoraHyperParams.from_dict({**few, "context_templates": given, "device": "cpu"})
        update = solve(SHAPES[0].build(), tokenizer(), FACTS[:1], hparams)
        assert update.info["fitted"]["context_templates"] == used


def test_the_embedded_models_preset_names_its_wordings():
    assert IceLoraHyperParams.from_hparams("ICE-LoRA/gpt2-factworld").context_templates == list(TEMPLATES)
    assert IceLoraHyperParams().context_templates is None


def test_plain_facts_have_their_subject_in_the_prompt_and_two_different_answers():
    assert len({fact.prompt for fact in PLAIN_FACTS}) == len(PLAIN_FACTS) == 40
    assert all(fact.subject in fact.prompt and fact.answer != fact.other for fact in PLAIN_FACTS)
