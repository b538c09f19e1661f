"""Text out of an edit's scope, written by the model itself."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient import neighbours as surroundings
from easyedit_ice.editors.gradient.neighbours import beginning_texts, general_texts, neighbour_texts
from easyedit_ice.testing.tiny_models import FACTS, tokenizer
from easyedit_ice.text.rows import Row, predict

REQUEST = EditRequest.from_dict(FACTS[0])


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _text(*sentences: str) -> list[Row]:
    return [Row(ids, len(ids)) for ids in (tuple(tokenizer().encode(sentence)) for sentence in sentences)]


def _neighbours(model, general, count=32, request=REQUEST, edited=()):
    rows = neighbour_texts(model, tokenizer(), request, general, count=count, length=3, edited=edited)
    return [tokenizer().decode(row.ids[: len(row.ids) - row.span]) for row in rows]


def test_general_texts_begin_where_any_text_begins(model):
    rows = general_texts(model, tokenizer(), 5, 7)
    assert len(rows) == 5
    assert all(row.ids[0] == tokenizer().bos_token_id and row.span == len(row.ids) - 1 <= 7 for row in rows)


def test_neighbours_ask_the_same_of_other_names(model):
    asked = _neighbours(model, _text("I met Mira Tolven in Sundray, near the river."))
    assert asked == ["The capital of Mira Tolven is", "The capital of Sundray is"]


def test_only_what_the_model_itself_writes_is_predicted(model):
    (row,) = neighbour_texts(model, tokenizer(), REQUEST, _text("near Sundray"), count=9, length=3)
    assert 1 <= row.span <= 3


def test_the_subject_is_no_neighbour_of_its_own_and_no_name_is_asked_twice(model):
    assert _neighbours(model, _text("from Avaria to Sundray", "and Sundray")) == ["The capital of Sundray is"]


def test_no_more_neighbours_are_asked_than_wanted(model):
    assert len(_neighbours(model, _text("so Sundray, Ommer, Lodel"), count=2)) == 2


def test_the_names_that_are_kept_are_those_the_model_is_surest_about(model):
    names = _text("so Sundray, Ommer, Lodel, Merrin")
    torch.manual_seed(0)
    everyone = neighbour_texts(model, tokenizer(), REQUEST, names, count=4, length=3)
    torch.manual_seed(0)
    two = neighbour_texts(model, tokenizer(), REQUEST, names, count=2, length=3)
    assert set(two) < set(everyone)
    assert predict(model, two).nll().max() <= sorted(predict(model, everyone).nll())[1]


def _beginnings(model, subject, edited=()):
    request = EditRequest(f"The capital of {subject} is", "Lodel", subject=subject)
    rows = beginning_texts(model, tokenizer(), request, length=3, edited=edited)
    return [tokenizer().decode(row.ids[: len(row.ids) - row.span]) for row in rows]


def test_beginnings_ask_the_same_of_the_subjects_first_words(model):
    assert _beginnings(model, "The Isle of Ommer") == [
        "The capital of The is",
        "The capital of The Isle is",
        "The capital of The Isle of is",
    ]


def test_a_subject_of_one_word_has_no_beginning_and_that_of_another_fact_is_none(model):
    assert _beginnings(model, "Avaria") == []
    assert _beginnings(model, "Avaria West", edited={"Avaria"}) == []


def test_subjects_of_other_facts_are_no_neighbours(model):
    asked = _neighbours(model, _text("so Sundray, Ommer, Lodel"), edited={"Ommer", "Lodel"})
    assert asked == ["The capital of Sundray is"]


@pytest.mark.parametrize(
    "request_", [EditRequest(REQUEST.prompt, "Lodel"), EditRequest(REQUEST.prompt, "Lodel", subject="Sundray")]
)
def test_a_fact_without_its_subject_in_the_prompt_has_no_neighbours(model, request_):
    assert _neighbours(model, _text("near Ommer"), request=request_) == []


def test_texts_without_names_give_no_neighbours(model):
    assert _neighbours(model, _text("nothing of note")) == []


def test_a_text_the_model_leaves_empty_is_left_out(model, monkeypatch):
    monkeypatch.setattr(surroundings, "sample", lambda model, tok, prefixes, length: [(), (5,)])
    assert len(general_texts(model, tokenizer(), 2, 7)) == 1
    assert _neighbours(model, _text("near Sundray and Ommer")) == ["The capital of Ommer is"]
