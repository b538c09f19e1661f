"""Text that is out of an edit's scope, written by the model itself: what an edit must leave as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from easyedit_ice.requests import EditRequest
from easyedit_ice.training.rows import Row, given
from easyedit_ice.training.sampling import beginning, sample

_NAME = re.compile(r"\b[^\W\d_a-z]\w+(?: [^\W\d_a-z]\w+)*")


def general_texts(model: nn.Module, tok: Any, count: int, length: int) -> list[Row]:
    """Texts the model writes when nothing is asked of it, all of each predicted but its beginning."""
    start = (beginning(tok),)
    texts = sample(model, tok, [start] * count, length=length)
    return [Row(start + text, len(text)) for text in texts if text]


def neighbour_texts(
    model: nn.Module, tok: Any, request: EditRequest, general: Sequence[Row], count: int, length: int
) -> list[Row]:
    """What the model writes after the fact's prompt with the subject replaced by names from its general texts.

    Args:
        model: as before the edit.
        tok: its tokenizer.
        request: the fact; without a subject there is nothing to replace.
        general: texts of :func:`general_texts`, in which names are found by their capital letters.
        count: most names to use.
        length: most tokens written after each prompt.
    """
    if request.subject is None or request.subject not in request.prompt:
        return []
    texts = (tok.decode(row.ids, skip_special_tokens=True) for row in general)
    names = dict.fromkeys(name for text in texts for name in _NAME.findall(text))
    names.pop(request.subject, None)
    prompts = [request.prompt.replace(request.subject, name) for name in list(names)[:count]]
    if not prompts:
        return []
    prefixes = [given(tok, prompt.rstrip()) for prompt in prompts]
    texts = sample(model, tok, prefixes, length=length)
    return [Row((*prefix, *text), len(text)) for prefix, text in zip(prefixes, texts, strict=True) if text]
