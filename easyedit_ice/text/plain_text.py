"""How far a model moves on plain statements that no edit is about.

Shapes: n statements, t predicted tokens in all, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.requests import EditRequest
from easyedit_ice.text.plain_facts import PLAIN_FACTS
from easyedit_ice.text.rows import Row, given, predict

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


def statements(tok: Any, facts: Iterable[Any], requests: Sequence[EditRequest] = ()) -> list[Row]:
    """True statements as rows (n), all but the first token of each predicted.

    Args:
        tok: a transformers tokenizer.
        facts: of :data:`~easyedit_ice.text.plain_facts.PLAIN_FACTS`.
        requests: facts that are edited; what mentions their subjects or answers their prompts is left out.
    """
    edited = [text for request in requests for text in (request.subject, request.prompt.strip()) if text]
    texts = [f"{fact.prompt} {fact.answer}." for fact in facts]
    rows = [given(tok, text) for text in texts if not any(part in text for part in edited)]
    return [Row(ids, len(ids) - 1) for ids in rows if len(ids) > 1]


@torch.no_grad()
def said(model: nn.Module, rows: Sequence[Row]) -> Tensor:
    """Log-probabilities at the rows' predicted places: (t, v) in fp32."""
    return predict(model, rows).log_probs


def movement(before: Tensor, after: Tensor) -> Movement:
    """From log-probabilities (t, v) to those of later."""
    kl = (before.exp() * (before - after)).sum(-1).mean().clamp(min=0.0).item()
    return Movement(kl, (before.argmax(-1) == after.argmax(-1)).float().mean().item())
