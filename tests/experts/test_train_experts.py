"""Experts and classifiers trained on tiny models."""

from __future__ import annotations

import pytest
import torch
from made_experts import BF16, FP32, PROMPTS

from easyedit_ice.edit.apply import solve
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.errors import EmptyTextError, ExpertError
from easyedit_ice.experts import LabelDispatcher, Wording, train_classifier, train_experts
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, tokenizer

QUICK = SVFHyperParams(lr=0.1, num_steps=3)
RELATIONS = ["capital", "work", "capital"]


@pytest.mark.parametrize("shape", [*FP32, *BF16], ids=lambda shape: shape.name)
def test_each_group_is_one_solve_on_the_unedited_model_which_stays(shape):
    model = shape.build()
    before = state(model)
    found = train_experts(model, tokenizer(), FACTS, QUICK, relations=RELATIONS)
    assert [expert.name for expert in found] == ["capital", "work"]
    assert [len(expert.facts) for expert in found] == [2, 1]
    assert state(model) == before
    alone = solve(model, tokenizer(), FACTS[1:2], QUICK)
    for name, delta in found[1].update(model).deltas.items():
        assert torch.equal(delta.values, alone.deltas[name].values)


def test_relations_are_those_of_the_facts_themselves():
    facts = [fact | {"relation": kind} for fact, kind in zip(FACTS, RELATIONS, strict=True)]
    found = train_experts(FP32[0].build(), tokenizer(), facts, QUICK)
    assert [[fact.relation for fact in expert.facts] for expert in found] == [["capital", "capital"], ["work"]]


def test_clusters_become_experts():
    found = train_experts(FP32[0].build(), tokenizer(), FACTS, QUICK, "cluster", clusters=2)
    assert sorted(len(expert.facts) for expert in found) == [1, 2]


def test_a_fact_that_cannot_be_edited_is_refused_before_any_training():
    with pytest.raises(EmptyTextError, match="fact 1"):
        train_experts(FP32[0].build(), tokenizer(), [FACTS[0], FACTS[1] | {"target_new": " "}], QUICK)


def test_facts_that_are_left_out_are_none_of_an_experts():
    facts = [FACTS[0], FACTS[2] | {"prompt": "Sundray " * 200}]
    tolerant = QUICK.replace(skip_unfit=True)
    found = train_experts(FP32[0].build(), tokenizer(), facts, tolerant, relations=["capital", "capital"])
    assert [[fact.prompt for fact in expert.facts] for expert in found] == [PROMPTS[:1]]


def test_relations_must_be_as_many_as_facts():
    with pytest.raises(ExpertError, match="2 relations of 3 facts"):
        train_experts(FP32[0].build(), tokenizer(), FACTS, QUICK, relations=RELATIONS[:2])


def test_a_classifier_learns_the_labels_of_prompts_and_which_are_of_none():
    model, tok = FP32[0].build(), tokenizer()
    experts = train_experts(model, tok, FACTS, QUICK, relations=["capital", "work", "river"])[:2]
    wording = Wording(template="{question}:", labels={"capital": "city"}, other="no")
    learns = SVFHyperParams(lr=0.1, num_steps=60, target_modules=["all"], append_eos=False)
    before = state(model)
    classifier = train_classifier(model, tok, experts, PROMPTS[2:], learns, wording)
    assert state(model) == before
    chosen = LabelDispatcher(wording, classifier=classifier).choose(model, tok, experts, PROMPTS)
    assert chosen == [0, 1, None]
    assert {fact.target_new for fact in classifier.facts} == {"city", "work", "no"}
    assert not any(fact["target_new"] in own.prompt for own in classifier.facts for fact in FACTS)


def test_a_classifier_needs_prompts_that_no_expert_is_for():
    model, tok = FP32[0].build(), tokenizer()
    experts = train_experts(model, tok, FACTS, QUICK, relations=RELATIONS)
    with pytest.raises(ExpertError, match="nothing is ever left to the base"):
        train_classifier(model, tok, experts, [], QUICK)
    with pytest.raises(ExpertError, match="'reinforce'; labels are learned with objective: ft"):
        train_classifier(model, tok, experts, PROMPTS, QUICK.replace(objective="reinforce"))
