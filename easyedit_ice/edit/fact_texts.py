"""Texts of a fact, checked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from easyedit_ice.errors import EmptyTextError
from easyedit_ice.runtime.untrusted import is_unicode

_NESTED = 8
"""Most lists around the first alias of a ground truth."""


def text_of(value: Any, name: str, index: int) -> str:
    """A value, if it is a text that is not blank.

    Raises:
        EmptyTextError: it is none; with the name of the key and the index of the fact.
    """
    if not isinstance(value, str) or not value.strip():
        raise EmptyTextError(f"{name} is {value!r}; it must be a string that is not blank", index)
    if not is_unicode(value):
        raise EmptyTextError(f"{name} is {value!r}, which holds half of a character; mend the text", index)
    return value


def first_string(value: Any) -> str | None:
    """The first alias of a ground truth given as a string, a list, or a list of lists."""
    for _ in range(_NESTED):
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = value[0] if value else None
    return value if isinstance(value, str) and is_unicode(value) else None


def statements_of(value: Any, index: int) -> tuple[str, ...]:
    """Statements of the new fact, given as one text or as a list of them.

    Raises:
        EmptyTextError: they are neither, or one is blank.
    """
    if value is None:
        return ()
    statements = [value] if isinstance(value, str) else value
    if not isinstance(statements, Sequence):
        raise EmptyTextError(f"context is {value!r}; it must be a string or a list of strings", index)
    return tuple(text_of(statement, "context", index) for statement in statements)
