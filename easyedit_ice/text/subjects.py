"""A subject within a text: a word or words of it, and not a part of another word.

"Paul" is not mentioned by "Sao Paulo". Scripts that put no spaces between words (Chinese, Japanese, Korean particles,
Thai and its neighbours) have no borders to look at, so there any place counts. A mention may be in another form of
Unicode than the subject, have another kind of apostrophe, or a no-break space.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import pairwise

_ALIKE = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2019": "'", "\u2018": "'", "\u02bc": "'"})
_WITHOUT_SPACES = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))
"""Thai and Lao, Burmese, Khmer. What is wide (Chinese, Japanese, Korean) Unicode tells."""

Span = tuple[int, int]
"""Where a mention begins, and the place after its end, in characters of the text."""


def mentions(text: str, subject: str) -> list[Span]:
    """All mentions of a subject, from the first to the last.

    Args:
        text: to search.
        subject: spaces around it do not count.

    Returns:
        the mentions as words; if there is none, those within other words, such as "Avaria" in "Avarian". If the
        subject does not occur as it is spelt, the same in other forms of Unicode.
    """
    name = subject.strip()
    places = list(_places(text, name))
    if not places:
        folded, spans = _folded(text)
        places = [(spans[first][0], spans[last - 1][1]) for first, last in _places(folded, _folded(name)[0])]
    return [span for span in places if _bordered(text, *span)] or places


def words_of(text: str, subject: str) -> list[Span]:
    """Those of the :func:`mentions` that cut no word."""
    return [span for span in mentions(text, subject) if _bordered(text, *span)]


def last_mention(text: str, subject: str) -> Span | None:
    """The last of the :func:`mentions`, if there is one."""
    spans = mentions(text, subject)
    return spans[-1] if spans else None


def renamed(text: str, subject: str, other: str) -> str:
    """The text with another name at all mentions of a subject."""
    spans = [(0, 0), *mentions(text, subject), (len(text), len(text))]
    return other.join(text[before[1] : after[0]] for before, after in pairwise(spans))


def _places(text: str, name: str) -> Iterator[Span]:
    """Where a name stands, letter for letter; places do not overlap."""
    start = text.find(name) if name else -1
    while start >= 0:
        yield start, start + len(name)
        start = text.find(name, start + len(name))


def _bordered(text: str, first: int, last: int) -> bool:
    """Whether neither edge cuts a word."""
    return not (_cuts(text, first) or _cuts(text, last))


def _cuts(text: str, place: int) -> bool:
    """Whether the characters before and at a place belong to one word."""
    return 0 < place < len(text) and all(map(_joins, text[place - 1 : place + 1]))


def _joins(character: str) -> bool:
    """Whether a character makes one word with what stands beside it."""
    if unicodedata.category(character)[0] not in "LNM" or unicodedata.east_asian_width(character) in "WF":
        return False
    return not any(low <= character <= high for low, high in _WITHOUT_SPACES)


def _folded(text: str) -> tuple[str, list[Span]]:
    """A text in one form of Unicode, and for each of its characters where it stands in the given one."""
    starts = [place for place, character in enumerate(text) if not place or not _continues(character)]
    folded, spans = "", []
    for first, last in pairwise([*starts, len(text)]):
        letters = unicodedata.normalize("NFC", text[first:last]).translate(_ALIKE)
        folded += letters
        spans += [(first, last)] * len(letters)
    return folded, spans


def _continues(character: str) -> bool:
    """Whether a character is composed with the one before: an accent, or a later part of a Korean syllable."""
    return bool(unicodedata.combining(character)) or "\u1160" <= character <= "\u11ff"
