"""The templates of probes: a fact as a sentence, its negation, and its sentence with the subject left out."""

from __future__ import annotations

import re
import unicodedata

from easyedit_ice.evaluation.leading_answer import leading_answer
from easyedit_ice.text.chat import PLAIN
from easyedit_ice.text.subjects import mentions, words_of

BLANK = "___"
_QUESTION = re.compile(r"(?:(?:Question|Q):\s*)?(?P<asked>.*\?)(?:\s*(?:Answer|A):)?\s*$", re.DOTALL)
_VERBS = ("is", "are", "was", "were", "has", "have", "had", "can", "will", "does", "do", "did")
_LAST_VERB = re.compile(rf"\b(?:{'|'.join(_VERBS)})$")
_FIRST_VERB = re.compile(rf"\s+(?:{'|'.join(_VERBS)})\b")
_NEGATIVE = re.compile(r"\b(?:not|never|no|none|nor|neither|nobody|nothing|without|cannot)\b|n['’]t\b", re.IGNORECASE)
_OPENINGS = frozenset(("the", "a", "an", "in", "on", "at", "of", "for", "by", "its", "his", "her", "their", "this"))


def question_in(prompt: str) -> str | None:
    """The question that a prompt is, without ``Question:`` and ``Answer:`` around it; none if it is none."""
    match = _QUESTION.match(prompt.strip())
    return match["asked"].strip() if match else None


def stated(prompt: str, answer: str) -> str:
    """A fact as a sentence without a full stop; of a question, ``The answer to "…?" is …``."""
    asked = question_in(prompt)
    before = prompt if asked is None else f'The answer to "{asked}" is'
    return before + PLAIN.gap_after(before) + answer.strip()


def is_clause(prompt: str) -> bool:
    """Whether a prompt is one sentence that only lacks its end, so that words may be put around it."""
    text = prompt.strip()
    return bool(text) and leading_answer(text) == text and unicodedata.category(text[-1])[0] in "LMN"


def negated(prompt: str, subject: str | None) -> str | None:
    """A text that what is *not* the answer can follow; none of a prompt that is negated already, or no single sentence.

    ``not`` stands after a verb at the prompt's end (``The capital of France is not``), else after the verb that comes
    right after the subject (``Marie was not born in``), else ``It is not true that`` stands before all.
    """
    asked = question_in(prompt)
    if asked is not None:
        return f'The answer to "{asked}" is not'
    if not is_clause(prompt) or _NEGATIVE.search(prompt):
        return None
    text = prompt.strip()
    if _LAST_VERB.search(text):
        return f"{text} not"
    if subject and (spans := words_of(text, subject)):
        verb = _FIRST_VERB.match(text, spans[-1][1])
        if verb:
            return f"{text[: verb.end()]} not{text[verb.end() :]}"
    return f"It is not true that {within(text)}"


def within(sentence: str) -> str:
    """A sentence within another one: an article or preposition that it begins with in lower case."""
    first = re.match(r"\w+", sentence)
    if first and first[0].lower() in _OPENINGS:
        return sentence[0].lower() + sentence[1:]
    return sentence


def blanked(prompt: str, answer: str, subject: str) -> str | None:
    """The fact as a sentence with a blank where its subject stands; none where it stands nowhere as words of its own.

    None as well where a part of another word, or the answer, would give the subject away.
    """
    spans = words_of(prompt, subject)
    if not spans or spans != mentions(prompt, subject) or mentions(answer, subject):
        return None
    ends = [0, *(place for span in spans for place in span), len(prompt)]
    rest = BLANK.join(prompt[first:last] for first, last in zip(ends[::2], ends[1::2], strict=True))
    return None if subject.strip().casefold() in rest.casefold() else stated(rest, answer)
