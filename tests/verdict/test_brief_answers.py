"""Brief answers of the embedded model."""

from __future__ import annotations

import pytest

from easyedit_ice import factworld, load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.verdict.brief_answers import Brief, brief_answers

KNOWN, UNKNOWN = "Faeso Faerkov has a job at", "Zzz qqq 12 ,,"


@pytest.fixture(scope="module")
def loaded():
    return load_model(EditHyperParams(model_name=str(factworld.model_path()), device="cpu"))


def test_answers_come_in_the_order_of_the_questions(loaded):
    there, back = brief_answers(*loaded, [KNOWN, UNKNOWN]), brief_answers(*loaded, [UNKNOWN, KNOWN])
    assert there[0].text == "Balmax Group" == back[1].text
    assert there[1].text == back[0].text


def test_a_model_is_surer_of_what_it_knows(loaded):
    known, unknown = brief_answers(*loaded, [KNOWN, UNKNOWN])
    assert known.surprise < unknown.surprise


def test_a_text_that_fills_the_context_has_an_empty_answer(loaded):
    long, short = brief_answers(*loaded, ["a " * 4000, KNOWN])
    assert long == Brief("", float("inf")) and short.text


@pytest.mark.parametrize(
    ("text", "first"), [("the Greek language", "greek"), ("U.S. Army", "us"), ("", ""), ("12.5", "125")]
)
def test_the_first_word_leaves_articles_out(text, first):
    assert Brief(text, 0.0).first == first
