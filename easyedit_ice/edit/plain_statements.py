"""How far a model moves on plain statements that no edit is about.

Shapes: n statements, t predicted tokens in all, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.model.activation_memory import vocabulary
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.plain_facts import PLAIN_FACTS
from easyedit_ice.text.rows import Row, in_parts, predict, prefix_ids

MEASURED, KEPT = PLAIN_FACTS[::2], PLAIN_FACTS[1::2]
"""Facts that changes are measured on, and others that training may hold on to: no one marks their own work."""


@dataclass(frozen=True)
class Movement:
    """From one state of a model to another, on the same statements.

    Attributes:
        kl: mean KL(before ‖ after), in nats per token.
        kept: share of tokens whose likeliest successor stays the same.
    """

    kl: float
    kept: float


def statements(
    model: nn.Module, tok: Tokenizer, facts: Iterable[Any], requests: Sequence[EditRequest] = ()
) -> list[Row]:
    """True statements as rows (n), all but the first token of each predicted.

    There may be none: a statement is cut to the model's context, and left out where less than two tokens are left of
    it, or where the model has no embedding for one of them.

    Args:
        model: that is to read them.
        tok: its tokenizer.
        facts: of :data:`~easyedit_ice.text.plain_facts.PLAIN_FACTS`.
        requests: facts that are edited; what mentions their subjects or answers their prompts is left out.
    """
    edited = [text for request in requests for text in (request.subject, request.prompt.strip()) if text]
    texts = [f"{fact.prompt} {fact.answer}." for fact in facts]
    longest, words = ModelAnatomy(model).context_length, vocabulary(model)
    room = None if longest is None else longest + 1
    rows = [prefix_ids(tok, text)[:room] for text in texts if not any(part in text for part in edited)]
    return [Row(ids, len(ids) - 1) for ids in rows if len(ids) > 1 and max(ids) < words]


@torch.no_grad()
def said(model: nn.Module, rows: Sequence[Row]) -> list[Tensor]:
    """Log-probabilities at the rows' predicted places, some rows at a time: (t, v) in fp32 of each."""
    return [predict(model, part).log_probs for part in in_parts(model, rows)]


@torch.no_grad()
def movement(model: nn.Module, rows: Sequence[Row], before: Sequence[Tensor]) -> Movement:
    """From what a model :func:`said` to what it says now.

    Args:
        model: as it is now.
        rows: at least one.
        before: what it said of the same rows.
    """
    divergence, same, count = 0.0, 0, 0
    for part, was in zip(in_parts(model, rows), before, strict=True):
        now = predict(model, part)
        for old, new in zip(was.split(now.spans), now.split(), strict=True):
            divergence += (old.exp() * (old - new)).sum(-1).double().sum().item()
            same += int((old.argmax(-1) == new.argmax(-1)).sum())
            count += len(old)
    return Movement(max(divergence, 0.0) / count, same / count)
