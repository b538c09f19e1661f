"""A subject is a word of a text, in whatever form of Unicode."""

from __future__ import annotations

import unicodedata

import pytest

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import SubjectNotFoundError
from easyedit_ice.text.subjects import last_mention, mentions, renamed

UPTO = {
    "Paul": ("Paul, who was born in Sao Paulo, works as a", "Paul"),
    "Ann": ("Ann, whose best friend is Annabel, lives in", "Ann"),
    "Iran": ("The capital of Iran, as every Iranian knows, is", "The capital of Iran"),
    "Rome": ("Rome, once ruled by Romeo's family, is in", "Rome"),
    "Élan": ("Élan, unlike Vélan and Élané, is", "Élan"),
    "U2": ("U2 and U24 are", "U2"),
    "Otto": ("Otto's friend calls Otto", "Otto's friend calls Otto"),
    "C++": ("C++ is", "C++"),
    "Avaria": ("The Avarian capital is", "The Avaria"),
    "東京": ("東京都は日本の東京にある", "東京都は日本の東京"),
    "서울": ("서울은 한국의", "서울"),
    "กรุงเทพ": ("ในกรุงเทพมี", "ในกรุงเทพ"),
}
"""For a subject a text, and the text up to the end of its last mention."""


@pytest.mark.parametrize("subject", UPTO)
def test_the_last_mention_is_a_word_and_a_part_of_one_only_where_there_is_no_other(subject: str) -> None:
    text, upto = UPTO[subject]
    start, end = last_mention(text, f" {subject} ")
    assert text[:end] == upto
    assert text[start:end] == subject


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
@pytest.mark.parametrize(("subject", "text"), [("Zoë", "Once Zoë plays, Zoëlle"), ("각", "각 하나")])
def test_forms_of_unicode_are_alike(subject: str, text: str, form: str, asked: str) -> None:
    text = unicodedata.normalize(form, text)
    start, end = last_mention(text, unicodedata.normalize(asked, subject))
    assert unicodedata.normalize("NFC", text[start:end]) == subject


@pytest.mark.parametrize(
    ("subject", "text"),
    [("New York", "In New\u00a0York, one"), ("O'Brien", "So O\u2019Brien is"), ("O\u2019Brien", "So O'Brien is")],
)
def test_spaces_and_apostrophes_are_alike(subject: str, text: str) -> None:
    start, end = last_mention(text, subject)
    assert (text[:start].strip(), text[end]) in {("In", ","), ("So", " ")}


@pytest.mark.parametrize("subject", ["", " ", "Tarn", "avaria"])
def test_what_does_not_occur_is_not_found(subject: str) -> None:
    assert last_mention("The capital of Avaria is", subject) is None


def test_all_mentions_are_found_from_the_first_on() -> None:
    text = "Ann and Annabel and Ann"
    assert [text[:last] for _, last in mentions(text, "Ann")] == ["Ann", text]


@pytest.mark.parametrize(
    ("text", "subject", "other"),
    [
        ("Paul of Sao Paulo met Paul", "Paul", "Otto of Sao Paulo met Otto"),
        ("The Avarian capital", "Avaria", "The Otton capital"),
        ("Nobody else", "Avaria", "Nobody else"),
        ("Avaria", "Avaria", "Otto"),
    ],
)
def test_another_name_takes_the_place_of_every_mention(text: str, subject: str, other: str) -> None:
    assert renamed(text, subject, "Otto") == other


def test_a_request_takes_a_subject_in_another_form_and_refuses_an_absent_one() -> None:
    fact = {"prompt": "Zoë plays the", "subject": unicodedata.normalize("NFD", "Zoë"), "target_new": "harp"}
    assert len(EditRequest.prepare([fact], needs_subject=True)) == 1
    with pytest.raises(SubjectNotFoundError, match="'Zo' does not occur"):
        EditRequest.prepare([fact | {"subject": "Zora"[:2], "prompt": "Ann plays the"}], needs_subject=True)
