"""Texts that an edit must leave as they are: what the model writes after the facts' prompts with other names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.neighbours import beginning_texts, edited, neighbour_texts
from easyedit_ice.precompute.corpora import text_source
from easyedit_ice.text.rows import Row, given

_GENERAL, _EACH = 256, 64
"""Tokens of general text that names are found in, and most of each text."""


def neighbour_rows(
    model: nn.Module, tok: Any, requests: Sequence[EditRequest], source: str, *, names: int, length: int
) -> Iterator[Row]:
    """What the model writes after the prompts with other names, and with the subjects' first words.

    Args:
        model: in evaluation mode.
        tok: its tokenizer.
        requests: the facts; those without a subject have no such texts.
        source: text in which the names are looked for, as ``mom2_dataset`` has it.
        names: how many for each fact; 0 for no texts at all.
        length: tokens after each prompt.
    """
    if not names:
        return
    general = _general(model, tok, source)
    shared: dict[str, Any] = {"length": length, "edited": edited(requests)}
    for request in requests:
        yield from neighbour_texts(model, tok, request, general, count=names, **shared)
        yield from beginning_texts(model, tok, request, **shared)


def _general(model: nn.Module, tok: Any, source: str) -> list[Row]:
    """The beginning of a text."""
    rows: list[Row] = []
    for text in text_source(source, model, tok):
        rows.append(Row(given(tok, text)[:_EACH], 1))
        if sum(len(row.ids) for row in rows) >= _GENERAL:
            break
    return rows
