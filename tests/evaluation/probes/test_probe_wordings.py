"""The templates that turn a fact into a sentence, its negation, and its sentence with a blank."""

from __future__ import annotations

import pytest

from easyedit_ice.evaluation.probes.wording import blanked, negated, question_in, stated, within


@pytest.mark.parametrize(
    ("prompt", "subject", "expected"),
    [
        ("The capital of France is", "France", "The capital of France is not"),
        ("Marie Curie was born in", "Marie Curie", "Marie Curie was not born in"),
        ("The twin of Cologne, which lies in", "Cologne", "It is not true that the twin of Cologne, which lies in"),
        ("The man who was born in Rome works in", "Rome", "It is not true that the man who was born in Rome works in"),
        ("Rome lies in", None, "It is not true that Rome lies in"),
        ("Which river flows through Rome?", "Rome", 'The answer to "Which river flows through Rome?" is not'),
        ("Question: Who rules Rome? Answer:", "Rome", 'The answer to "Who rules Rome?" is not'),
    ],
)
def test_not_stands_only_where_it_negates_the_fact_itself(prompt: str, subject: str | None, expected: str) -> None:
    assert negated(prompt, subject) == expected


def test_a_question_with_its_answer_becomes_a_sentence() -> None:
    assert stated("Q: Who rules Rome? A:", "Nero") == 'The answer to "Who rules Rome?" is Nero'
    assert stated("Rome is ruled by", " Nero ") == "Rome is ruled by Nero"
    assert question_in("Rome is ruled by") is None


def test_names_keep_their_capitals_within_a_sentence() -> None:
    assert within("The river is") == "the river is"
    assert within("Theodora ruled") == "Theodora ruled"


def test_a_blank_stands_where_the_subject_stood_and_nowhere_else() -> None:
    assert blanked("Rome is ruled by", "Nero", "Rome") == "___ is ruled by Nero"
    assert (
        blanked("Rome, as Rome's poets say, is ruled by", "Nero", "Rome") == "___, as ___'s poets say, is ruled by Nero"
    )
    assert blanked("It is ruled by", "Nero", "Rome") is None
    assert blanked("Ann's annual prize goes to", "Anna", "Ann") is None
    assert blanked("The twin of Rome is", "New Rome", "Rome") is None


@pytest.mark.parametrize(
    "prompt",
    [
        "Rome is not",
        "Nobody in Rome speaks",
        "Rome was big. It lies in",
        "Country: Italy. Capital:",
        "Rome doesn't lie in",
    ],
)
def test_a_prompt_that_cannot_be_negated_is_not(prompt: str) -> None:
    assert negated(prompt, "Rome") is None


def test_an_initial_ends_no_sentence() -> None:
    assert negated("J. K. Rowling was born in", "J. K. Rowling") == "J. K. Rowling was not born in"
