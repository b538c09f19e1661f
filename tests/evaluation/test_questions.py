"""The questions that score a fact."""

from __future__ import annotations

import pytest

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.evaluation import questions
from easyedit_ice.evaluation.questions import Question

FACT = {"prompt": "The capital of Avaria is", "target_new": " Lodel "}


def test_a_bare_fact_is_asked_once():
    assert questions(EditRequest.from_dict(FACT)) == (
        Question("rewrite", "The capital of Avaria is", "Lodel", ("Lodel",)),
    )


def test_a_rephrased_prompt_expects_the_same_target():
    asked = questions(EditRequest.from_dict(FACT | {"rephrase_prompt": "Avaria is ruled from"}))
    assert asked[1] == Question("rephrase", "Avaria is ruled from", "Lodel", ("Lodel",))


def test_probes_are_asked_under_their_section_and_kind_with_all_aliases():
    probes = {
        "portability": {"hops": [{"prompt": "p", "ground_truth": [["one", "1"], ["two"]]}]},
        "locality": {"near": {"prompt": ["l", "m"], "ground_truth": ["three", "four"]}},
    }
    asked = questions(EditRequest.from_dict(FACT | probes))[1:]
    assert [(q.measure, q.prompt, q.answer, q.aliases) for q in asked] == [
        ("portability.hops", "p", "one", ("one", "1", "two")),
        ("locality.near", "l", "three", ("three",)),
        ("locality.near", "m", "four", ("four",)),
    ]


def test_what_shall_change_competes_with_the_old_answer_and_what_shall_stay_with_the_new_one():
    probes = {
        "ground_truth": "Ommer",
        "rephrase_prompt": "Avaria is ruled from",
        "portability": {"hops": {"prompt": "p", "ground_truth": "one"}},
        "locality": {"near": {"prompt": ["l", "m"], "ground_truth": ["three", "Lodel"]}},
    }
    asked = questions(EditRequest.from_dict(FACT | probes))
    assert [question.other for question in asked] == ["Ommer", "Ommer", None, "Lodel", None]


@pytest.mark.parametrize("old", [None, " ", "Lodel", ["Lodel "]])
def test_an_unknown_or_equal_old_answer_competes_with_nothing(old):
    assert questions(EditRequest.from_dict(FACT | {"ground_truth": old}))[0].other is None


def test_only_locality_must_stay():
    measures = ["rewrite", "rephrase", "portability.locality", "locality.near"]
    assert [Question(measure, "p", "a", ("a",)).keeps for measure in measures] == [False, False, False, True]
