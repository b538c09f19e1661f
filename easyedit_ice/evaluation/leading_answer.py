"""The leading answer: what a model that goes on writing says first, and when it counts as a given answer.

A base model goes on after the answer ("English. The Canadian government has ..."), so that its whole text equals no
answer. The leading answer ends where the evaluations of LocFT-BF (arXiv 2509.22072) and CrispEdit cut a text off: at a
full stop, a line break or the end of text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MOST_TOKENS = 32
"""Most tokens of a leading answer."""
ABBREVIATIONS = frozenset(
    ("capt", "col", "dr", "ft", "gen", "gov", "jr", "lt", "mr", "mrs", "ms", "mt", "prof", "sen", "sgt", "sr", "st")
)
"""Words whose full stop ends no sentence."""

_STOP = re.compile(r"[.!?]+(?=[\"'”’)\]]*(?:\s|$))")
_WORD = re.compile(r"[^\W_]+$")
_INITIAL = re.compile(r"(?:^|[\s.(])[^\W\d_]$")
_DROPPED = frozenset(".'’‘`")
_ARTICLES = frozenset(("a", "an", "the"))


def leading_answer(text: str) -> str:
    """The text's beginning up to its first line break or the end of its first sentence, the stop left out.

    A sentence ends at a full stop, an exclamation or a question mark before white space or the end of the text. The
    full stop of an initial ("J. K. Rowling", "U.S. Army") or an abbreviation ("St. Petersburg") ends none, nor does one
    within a word or number ("3.5"). White space at the beginning is left out first.

    Args:
        text: no more than :data:`MOST_TOKENS` tokens.
    """
    lines = text.strip().splitlines()
    line = lines[0] if lines else ""
    end = next((stop.start() for stop in _STOP.finditer(line) if not _abbreviates(line, stop)), len(line))
    return line[:end].strip()


def leads_with(text: str, aliases: Iterable[str]) -> bool:
    """Whether a leading answer equals one of these answers, or begins with one at a word's border.

    "Paris, France" and "English language" count as "Paris" and "English", and "New York City" as "New York"; "New York"
    does not count as "New York City", nor "not English" as "English".

    Args:
        text: of :func:`leading_answer`.
        aliases: all names of the answer.
    """
    forms = ((plain(text, articles), articles) for articles in (True, False))
    return any(_begins(form, plain(alias, articles)) for form, articles in forms for alias in aliases)


def same_answer(one: str, other: str) -> bool:
    """Whether two leading answers are the same but for case, articles, punctuation and spaces."""
    return plain(one, False) == plain(other, False)


def plain(text: str, articles: bool) -> str:
    """Text for comparison: compatibility form, lower case, words between single spaces, no punctuation.

    Full stops and apostrophes are taken out, so that "U.S." is "us"; other punctuation parts words as
    white space does.

    Args:
        text: any text.
        articles: whether "a", "an" and "the" count.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = "".join(" " if _is_punctuation(c) else c for c in folded if c not in _DROPPED)
    return " ".join(word for word in letters.split() if articles or word not in _ARTICLES)


def _begins(text: str, answer: str) -> bool:
    return bool(answer) and f"{text} ".startswith(f"{answer} ")


def _abbreviates(line: str, stop: re.Match[str]) -> bool:
    """Whether a full stop belongs to the word before it and the text goes on after it."""
    before, after = line[: stop.start()], line[stop.end() :]
    if stop.group() != "." or not after.strip():
        return False
    word = _WORD.search(before)
    return bool(_INITIAL.search(before)) or (word is not None and word.group().casefold() in ABBREVIATIONS)


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")
