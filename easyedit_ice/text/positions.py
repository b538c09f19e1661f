"""Where in a text a subject ends, as a token."""

from __future__ import annotations

from typing import Any

from easyedit_ice.errors import SubjectNotFoundError


def last_token_of(tok: Any, text: str, subject: str, before: int | None = None) -> int:
    """Index, among the tokens of a text, of the one that ends the last mention of a subject.

    What is counted are tokens as ``tok(text)`` gives them, without padding; so the index is the same wherever a batch
    is padded once the padding before the text is added.

    Args:
        tok: a tokenizer.
        text: in which the subject occurs, spelt alike.
        subject: such as ``"Paris"``; spaces around it do not count.
        before: only mentions that end before this character count.

    Raises:
        SubjectNotFoundError: it does not occur.
    """
    name = subject.strip()
    start = text.rfind(name, 0, before)
    if not name or start < 0:
        raise SubjectNotFoundError(f"the subject {subject!r} does not occur in {text!r}; spell it as the text does")
    end = start + len(name)
    if not getattr(tok, "is_fast", False):
        return len(tok(text[:end])["input_ids"]) - 1
    offsets = tok(text, return_offsets_mapping=True)["offset_mapping"]
    return max(index for index, (first, last) in enumerate(offsets) if first < end and first < last)
