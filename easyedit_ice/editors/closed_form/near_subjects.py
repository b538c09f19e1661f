"""Names that end nearly as a subject does: what an edit at its last token is most easily read for besides.

A key of an early block tells much of the token that is read there. So keys near to a subject's are looked for in the
same text with a token in the place of its last that has a like embedding: other countries for a country of one token,
other numbers for that of a model. General text holds few of each, so that its second moment says little of what tells
them apart. They are further keys in the solve's metric. Measured in docs/streams.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form.neighbour_rows import MOST_NEIGHBOURS, neighbours_each
from easyedit_ice.editors.closed_form.subject_rows import fact_rows, place_in
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.reading import at_last_token

_ALIKE = 4
"""Letters that two tokens begin with where they are taken for forms of one word."""
_ROWS = 8192
"""Embeddings that are compared at a time, in fp32."""


def near_keys(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[EditRequest],
    projections: Sequence[str],
    count: int,
    together: int | None = None,
) -> dict[str, Tensor]:
    """What some projections read at the ends of such names, (n, in) in fp32 by path; nothing where there are none.

    Args:
        model: in evaluation mode.
        tok: its tokenizer.
        requests: the facts, with subjects; of more than 256 only some are looked at.
        projections: their paths.
        count: names for each fact, fewer where there are many facts; 0 for none.
        together: most tokens that are read side by side; ``None`` for what suits the device.

    Raises:
        SubjectNotFoundError: a subject does not occur in its prompt.
    """
    if not count:
        return {}
    rows = list(near_rows(model, tok, requests, count))
    return {name: at_last_token(model, rows, name, "in", together) for name in projections} if rows else {}


def near_rows(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], count: int
) -> Iterator[tuple[int, ...]]:
    """The tokens of each prompt up to where it is looked up, with others in place of its subject's last.

    None of them ends any of the subjects, and none is a form of the word that it replaces, as far as letters tell.
    Of more than 256 facts only some are looked at, and of many there are fewer names for each.
    """
    facts = [fact_rows(tok, request, ("",)).stated[0] for request in requests]
    ends = {row.ids[row.at] for row in facts}
    looked_at = facts[:: math.ceil(len(facts) / MOST_NEIGHBOURS)]
    for row in looked_at:
        for token in near_tokens(model, tok, row.ids[row.at], neighbours_each(count, len(looked_at)), ends):
            yield (*row.before, token, *row.ids[row.at + 1 : place_in(row) + 1])


def near_tokens(model: nn.Module, tok: Tokenizer, token: int, count: int, apart_from: set[int]) -> list[int]:
    """The tokens whose embeddings have the highest cosines with one's, their mean taken off.

    Args:
        model: with embeddings.
        tok: its tokenizer.
        token: whose neighbours are looked for.
        count: how many, of different letters.
        apart_from: tokens that are left out, besides special ones and forms of the same word.
    """
    found: list[int] = []
    letters = [_letters(tok, token)]
    special = apart_from | {token, *tok.all_special_ids}
    for near in _cosines(embedding_weight(model).detach(), token).argsort(descending=True).tolist():
        if len(found) == count:
            break
        text = "" if near in special else _letters(tok, near)
        if text and text[:_ALIKE] != letters[0][:_ALIKE] and text not in letters:
            found.append(near)
            letters.append(text)
    return found


def _letters(tok: Tokenizer, token: int) -> str:
    return str(tok.decode([token])).strip().lower()


def _cosines(table: Tensor, token: int) -> Tensor:
    """Of each embedding with one, (vocabulary,)."""
    mean = torch.stack([part.float().sum(0) for part in table.split(_ROWS)]).sum(0) / len(table)
    own = table[token].float() - mean
    return torch.cat([torch.cosine_similarity(part.float() - mean, own[None], dim=1) for part in table.split(_ROWS)])
