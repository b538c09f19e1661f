"""The leading answer of a text, and what it counts as."""

from __future__ import annotations

import pytest

from easyedit_ice.evaluation.leading_answer import leading_answer, leads_with, same_answer


@pytest.mark.parametrize(
    ("text", "leading"),
    [
        ("English. The Canadian government has a", "English"),
        ("English.", "English"),
        ("English", "English"),
        ("  \n English\nFrench", "English"),
        ("Paris! And then", "Paris"),
        ("Paris?\n", "Paris"),
        ('"Paris." He said', '"Paris'),
        ("3.5 per cent. More", "3.5 per cent"),
        ("the U.S. Army. It is", "the U.S. Army"),
        ("the U.S.", "the U.S"),
        ("J. K. Rowling. She", "J. K. Rowling"),
        ("St. Petersburg. It", "St. Petersburg"),
        ("Who? Nobody", "Who"),
        ("wait... what", "wait"),
        ("a.m. shows", "a.m. shows"),
        ("", ""),
        (".", ""),
        ("\n", ""),
    ],
)
def test_a_leading_answer_ends_with_its_first_sentence_or_line(text, leading):
    assert leading_answer(text) == leading


@pytest.mark.parametrize(
    ("text", "aliases", "leads"),
    [
        ("English", ["English"], True),
        ("English language", ["English"], True),
        ("the English language", ["English"], True),
        ("Englishman", ["English"], False),
        ("not English", ["English"], False),
        ("Paris, France", ["Paris"], True),
        ("New York City", ["New York"], True),
        ("New York", ["New York City"], False),
        ("New York-based", ["New York"], True),
        ("new  YORK", ["New York"], True),
        ("York", ["New York"], False),
        ("USA", ["United States", "U.S.A."], True),
        ("O'Neill", ["ONeill"], True),
        ("Beatles", ["The Beatles"], True),
        ("A", ["A"], True),
        ("B", ["A"], False),
        ("", ["English"], False),
        ("English", [""], False),
        ("English", ["..."], False),
        ("Ｐaris", ["Paris"], True),
        ("C++ and more", ["C++"], True),
        ("C", ["C++"], False),
        ("12", ["1"], False),
    ],
)
def test_a_leading_answer_counts_if_it_begins_with_an_alias_at_a_words_border(text, aliases, leads):
    assert leads_with(text, aliases) is leads


def test_two_leading_answers_are_the_same_but_for_case_articles_and_punctuation():
    assert same_answer("The English, of course", "english of course")
    assert not same_answer("English", "English language")
