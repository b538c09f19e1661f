"""Text that is out of an edit's scope, written by the model itself: what an edit must leave as it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import nn

from easyedit_ice.batching import batches
from easyedit_ice.requests import EditRequest
from easyedit_ice.subjects import mentions, renamed
from easyedit_ice.text.rows import Row, given, predict
from easyedit_ice.text.sampling import ROWS, sample
from easyedit_ice.tokens import beginning

_NAME = re.compile(r"\b[^\W\d_a-z]\w+(?: [^\W\d_a-z]\w+)*")


def general_texts(model: nn.Module, tok: Any, count: int, length: int) -> list[Row]:
    """Texts the model writes when nothing is asked of it, all of each predicted but its beginning."""
    start = (beginning(tok),)
    texts = sample(model, tok, [start] * count, length=length)
    return [Row(start + text, len(text)) for text in texts if text]


def neighbour_texts(
    model: nn.Module,
    tok: Any,
    request: EditRequest,
    general: Sequence[Row],
    *,
    count: int,
    length: int,
    edited: Collection[str] = (),
) -> list[Row]:
    """What the model writes after the fact's prompt with the subject replaced by names from its general texts.

    Of all these names the model is surest about those that the prompt makes sense for, and knows answers an edit
    could spoil; only the surest are kept.

    Args:
        model: as before the edit.
        tok: its tokenizer.
        request: the fact; without a subject there is nothing to replace.
        general: texts of :func:`general_texts`, in which names are found by their capital letters.
        count: most names to keep.
        length: most tokens written after each prompt.
        edited: names that may change, such as the subjects of other facts.
    """
    if request.subject is None or not mentions(request.prompt, request.subject):
        return []
    texts = (tok.decode(row.ids, skip_special_tokens=True) for row in general)
    names = dict.fromkeys(name for text in texts for name in _NAME.findall(text))
    others = (name for name in names if name not in {request.subject, *edited})
    return _surest(model, _asked_of(model, tok, request, others, length), count)


def beginning_texts(
    model: nn.Module, tok: Any, request: EditRequest, *, length: int, edited: Collection[str] = ()
) -> list[Row]:
    """What the model writes after the fact's prompt with only the subject's first words, all but the last at most.

    What is read before a subject's last word is read of every other subject that begins so.

    Args:
        model: as before the edit.
        tok: its tokenizer.
        request: the fact; without a subject there is nothing to shorten.
        length: most tokens written after each prompt.
        edited: names that may change, such as the subjects of other facts.
    """
    if request.subject is None or not mentions(request.prompt, request.subject):
        return []
    words = request.subject.split()
    beginnings = (" ".join(words[:count]) for count in range(1, len(words)))
    return _asked_of(model, tok, request, (name for name in beginnings if name not in edited), length)


def _asked_of(model: nn.Module, tok: Any, request: EditRequest, names: Iterable[str], length: int) -> list[Row]:
    """What the model writes after the fact's prompt with each of these names in place of the subject."""
    prefixes = [given(tok, request.asking.text(renamed(request.prompt, request.subject, name))) for name in names]
    texts = sample(model, tok, prefixes, length=length) if prefixes else []
    return [Row((*prefix, *text), len(text)) for prefix, text in zip(prefixes, texts, strict=True) if text]


@torch.no_grad()
def _surest(model: nn.Module, rows: Sequence[Row], count: int) -> list[Row]:
    """The rows that the model gives the highest likelihood per token."""
    if len(rows) <= count:
        return list(rows)
    surprise = torch.cat([predict(model, together).nll() for together in batches(rows, ROWS)])
    return [rows[index] for index in surprise.argsort()[:count].tolist()]
