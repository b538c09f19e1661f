"""Texts that an edit must leave as they are: what the model writes after the facts' prompts with other names.

What projections read of them are further keys in the solve's metric, so that a change which is meant for one name is
not read of others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.sections import Section, setting
from easyedit_ice.editors.gradient.neighbours import beginning_texts, edited, neighbour_texts
from easyedit_ice.editors.gradient.protection.fact_keys import text_keys
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.corpora import text_source
from easyedit_ice.text.rows import Row, prefix_ids

_GENERAL, _EACH = 256, 64
"""Tokens of general text that names are found in, and most of each text."""
MOST_NEIGHBOURS = 256
"""Texts of other names that are kept at once, of all facts of a batch together."""


@dataclass
class NeighbourSettings(Section):
    """What is kept of other names in the subject's place."""

    neighbour_names: int = setting(
        0, "names to put into each subject's place, so that what the model says of them stays; 0 for none", low=0
    )
    neighbour_length: int = setting(4, "tokens that the model writes after each such prompt", low=1)
    neighbour_weight: float = setting(
        1.0, "weight of all keys of a fact's neighbours together, against all of general text", above=0
    )


def neighbours_each(names: int, facts: int) -> int:
    """Names in place of each fact's subject: as many as are asked for, and fewer of many facts together."""
    return min(names, max(1, MOST_NEIGHBOURS // facts))


def neighbour_keys(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[EditRequest],
    settings: NeighbourSettings,
    source: str,
    projections: Sequence[str],
) -> dict[str, Tensor]:
    """What some projections read of the facts' neighbours, (n, in) by path; nothing where there are none.

    Args:
        model: in evaluation mode.
        tok: its tokenizer.
        requests: the facts; of more than 256 only some are looked at.
        settings: which neighbours.
        source: text in which names are looked for, as ``mom2_dataset`` has it.
        projections: their paths.
    """
    looked_at = requests[:: math.ceil(len(requests) / MOST_NEIGHBOURS)]
    names, length = neighbours_each(settings.neighbour_names, len(looked_at)), settings.neighbour_length
    texts = list(neighbour_rows(model, tok, looked_at, source, names=names, length=length))
    return text_keys(model, texts, list(projections)) if texts else {}


def neighbour_rows(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], source: str, *, names: int, length: int
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


def _general(model: nn.Module, tok: Tokenizer, source: str) -> list[Row]:
    """The beginning of a text."""
    rows: list[Row] = []
    for text in text_source(source, model, tok):
        rows.append(Row(prefix_ids(tok, text)[:_EACH], 1))
        if sum(len(row.ids) for row in rows) >= _GENERAL:
            break
    return rows
