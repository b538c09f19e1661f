"""What a prompt is about: the one name in it, if there is just one."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"[^\W_]+(?:[-.][^\W_]+)*")
_OPENERS = re.compile(
    r"an?|and|are|as|at|by|did|do|does|for|from|how|if|in|is|it|of|on|the|this|to|under|was|were|what|when|where|which|"
    r"who|whose|why|with",
    re.IGNORECASE,
)
"""Words that have a capital letter where they begin a sentence, and are no part of a name there."""


def subject_in(prompt: str) -> str | None:
    """The name that stands in a prompt; none if there are several, or nothing that looks like one.

    A name is a row of words of which each has a capital letter, or is a number after such a word.
    """
    names = list(dict.fromkeys(_names(prompt)))
    return names[0] if len(names) == 1 else None


def _names(prompt: str) -> Iterator[str]:
    row: list[re.Match[str]] = []
    for word in _WORD.finditer(prompt):
        if row and prompt[row[-1].end() : word.start()].strip():
            yield from _whole(prompt, row)
            row = []
        if not row and _OPENERS.fullmatch(word.group()):
            continue
        if word.group() != word.group().lower() or (row and word.group().isdigit()):
            row.append(word)
        elif row:
            yield from _whole(prompt, row)
            row = []
    yield from _whole(prompt, row)


def _whole(prompt: str, row: list[re.Match[str]]) -> Iterator[str]:
    if row:
        yield prompt[row[0].start() : row[-1].end()]
