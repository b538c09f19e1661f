"""The templates of probes: a fact as a sentence, its negation, and its sentence with the subject left out."""

from __future__ import annotations

import re

from easyedit_ice.text.chat import PLAIN

BLANK = "___"
_QUESTION = re.compile(r"(?:(?:Question|Q):\s*)?(?P<asked>.*\?)(?:\s*(?:Answer|A):)?\s*$", re.DOTALL)
_VERBS = ("is", "are", "was", "were", "has", "have", "had", "can", "will", "does", "do", "did")
_LAST_VERB = re.compile(rf"\b(?:{'|'.join(_VERBS)})$")
_FIRST_VERB = re.compile(rf"\s+(?:{'|'.join(_VERBS)})\b")
_OPENINGS = frozenset(("the", "a", "an", "in", "on", "at", "of", "for", "by", "its", "his", "her", "their", "this"))


def question_in(prompt: str) -> str | None:
    """The question that a prompt is, without ``Question:`` and ``Answer:`` around it; none if it is none."""
    found = _QUESTION.match(prompt.strip())
    return found["asked"].strip() if found else None


def stated(prompt: str, answer: str) -> str:
    """A fact as a sentence without a full stop; of a question, ``The answer to "…?" is …``."""
    asked = question_in(prompt)
    before = prompt if asked is None else f'The answer to "{asked}" is'
    return before + PLAIN.gap_after(before) + answer.strip()


def negated(prompt: str, subject: str | None) -> str:
    """A text that what is *not* the answer can follow.

    ``not`` stands after a verb at the prompt's end (``The capital of France is not``), else after the verb that comes
    right after the subject (``Marie was not born in``), else ``It is not true that`` stands before all.
    """
    asked = question_in(prompt)
    if asked is not None:
        return f'The answer to "{asked}" is not'
    text = prompt.rstrip()
    if _LAST_VERB.search(text):
        return f"{text} not"
    if subject and subject in text:
        end = text.rindex(subject) + len(subject)
        verb = _FIRST_VERB.match(text, end)
        if verb:
            return f"{text[: verb.end()]} not{text[verb.end() :]}"
    return f"It is not true that {within(text)}"


def within(sentence: str) -> str:
    """A sentence within another one: an article or preposition that it begins with in lower case."""
    first = re.match(r"\w+", sentence)
    if first and first[0].lower() in _OPENINGS:
        return sentence[0].lower() + sentence[1:]
    return sentence


def blanked(statement: str, subject: str) -> str | None:
    """The statement with a blank where its subject stands; none where it does not stand there."""
    return statement.replace(subject, BLANK) if subject in statement else None
