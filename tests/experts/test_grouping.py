"""Facts in groups."""

from __future__ import annotations

import pytest
import torch
from made_experts import FP32

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import ExpertError
from easyedit_ice.experts import grouped
from easyedit_ice.experts.grouping import mean_states
from easyedit_ice.testing.tiny_models import tokenizer

FACTS = EditRequest.prepare(
    {"prompt": prompt.format(subject), "subject": subject, "target_new": "Lodel"}
    for prompt in ("The capital of {} is", "{} lies on the river")
    for subject in ("Avaria", "Sundray")
)


def test_each_fact_may_be_a_group():
    assert grouped(FACTS, "fact") == {"fact-0": [0], "fact-1": [1], "fact-2": [2], "fact-3": [3]}


def test_named_relations_are_groups():
    relations = ["capital", "river", "capital", "river"]
    assert grouped(FACTS, "relation", relations=relations) == {"capital": [0, 2], "river": [1, 3]}


def test_without_relations_prompts_without_their_subjects_are_groups():
    assert grouped(FACTS, "relation") == {"The-capital-of-_-is": [0, 1], "lies-on-the-river": [2, 3]}


def test_kinds_that_would_share_a_folder_get_different_names():
    found = grouped(FACTS, "relation", relations=["a b", "a/b", "a-b+2", "a b"])
    assert sorted(found.values()) == [[0, 3], [1], [2]]


def test_clusters_are_those_of_the_models_own_states_and_always_the_same():
    model, tok = FP32[0].build().eval(), tokenizer()
    options = {"model": model, "tok": tok, "clusters": 2}
    found = grouped(FACTS, "cluster", **options)
    assert sorted(found.values()) == [[0, 1], [2, 3]]
    assert grouped(FACTS, "cluster", **options) == found


def test_a_state_is_the_mean_over_the_prompts_own_tokens():
    model, tok = FP32[1].build().eval(), tokenizer()
    found = mean_states(model, tok, FACTS)
    ids = torch.tensor([tok.encode(FACTS[0].prompt)])
    with torch.no_grad():
        alone = model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0].mean(0)
    torch.testing.assert_close(found[0], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("clusters", [None, 0, 5])
def test_a_number_of_clusters_that_cannot_be_is_refused(clusters):
    with pytest.raises(ExpertError, match=f"clusters is {clusters}; expected a number from 1"):
        grouped(FACTS, "cluster", model=FP32[0].build(), tok=tokenizer(), clusters=clusters)


def test_another_way_is_refused():
    with pytest.raises(ExpertError, match="'topic'; choose one of fact, relation, cluster"):
        grouped(FACTS, "topic")


def test_clusters_without_a_model_are_refused():
    with pytest.raises(ExpertError, match="give the model and its tokenizer"):
        grouped(FACTS, "cluster", clusters=2)
