"""Texts as a model's token ids, alike wherever a text is trained on, asked or measured.

A text begins with the tokenizer's beginning of text exactly once, also where it spells it already, as the text of a
chat template does; and an end of text that the tokenizer would append is left off, since a text that is given is a
text that goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from easyedit_ice.model.pretrained import pretrained, weight_of
from easyedit_ice.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import nn

_PROBE = "a"


def tokens(tok: Tokenizer, text: str) -> tuple[int, ...]:
    """The ids of a text that is given to a model: what everything that reads a text goes through.

    Args:
        tok: a transformers tokenizer.
        text: may begin with the beginning of text, spelt out.
    """
    ids = tok.encode(text)
    return tuple(ids[text_slice(tok, ids)])


def text_slice(tok: Tokenizer, ids: Sequence[int]) -> slice:
    """Which of the ids that a tokenizer makes of a text are the text's.

    Args:
        tok: a transformers tokenizer.
        ids: as it makes them, with special tokens.

    Returns:
        all but a second beginning of text, and but the end of text it appends.
    """
    begins, ends = _added(tok)
    twice = bool(begins) and list(ids[len(begins) : 2 * len(begins)]) == begins
    return slice(len(begins) if twice else 0, len(ids) - len(ends))


def opening(tok: Tokenizer) -> str:
    """The beginning of text that the tokenizer puts before a text, spelt out; empty if it puts none."""
    return tok.decode(_added(tok)[0], skip_special_tokens=False) if _added(tok)[0] else ""


def ends_of_text(model: nn.Module, tok: Tokenizer) -> tuple[int, ...]:
    """The tokens by which a model ends its text: the tokenizer's, then those of its ``generation_config``.

    Chat models list several there, such as the end of a text and that of a turn. There may be none; one that the model
    has no embedding for does not count.
    """
    listed = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ends = listed if isinstance(listed, (list, tuple)) else [listed]
    return tuple(dict.fromkeys(end for end in (tok.eos_token_id, *ends) if end is not None and has_row(model, end)))


def until_end(ids: Sequence[int], ends: Sequence[int]) -> tuple[int, ...]:
    """Ids up to and including the first end of text, if there is one."""
    return tuple(ids[: next((place + 1 for place, token in enumerate(ids) if token in ends), len(ids))])


def beginning(model: nn.Module, tok: Tokenizer) -> int:
    """The token that a text begins with where nothing is given.

    It is the tokenizer's beginning of text, else its end of text, which precedes one, else a line break: the first of
    these that the model has an embedding for.
    """
    marks = (tok.bos_token_id, tok.eos_token_id, *tokens(tok, "\n"))
    return next((mark for mark in marks if mark is not None and has_row(model, mark)), 0)


def padding_id(model: nn.Module, tok: Tokenizer) -> int:
    """The tokenizer's padding token, or 0 where it has none or the model has no row for it: padding is masked."""
    return tok.pad_token_id if tok.pad_token_id is not None and has_row(model, tok.pad_token_id) else 0


def has_row(model: nn.Module, token: int) -> bool:
    """Whether the model has an embedding for a token; tokenizers may have been given more than it was."""
    embedding = pretrained(model).get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    return embedding is None or 0 <= token < weight_of(embedding).shape[0]


def _added(tok: Tokenizer) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before a text, and what after it."""
    framed, bare = tok.encode(_PROBE), tok.encode(_PROBE, add_special_tokens=False)
    places = (place for place in range(len(framed) - len(bare) + 1) if framed[place : place + len(bare)] == bare)
    first = next(places, None) if bare else None
    return ([], []) if first is None else (list(framed[:first]), list(framed[first + len(bare) :]))
