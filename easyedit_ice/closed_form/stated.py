"""Whether a model states its facts: one pass over prompts and targets.

Shapes: t predicted tokens, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.requests import EditRequest
from easyedit_ice.text.rows import encode, predict


@dataclass(frozen=True)
class Stated:
    """How a model states some facts.

    Attributes:
        nll: of each target behind its prompt, in nats per token.
        likeliest: whether each of the target's tokens is the most probable, given those before.
        leads: by how much the least sure of the target's tokens is ahead of every other one, in nats.
    """

    nll: tuple[float, ...]
    likeliest: tuple[bool, ...]
    leads: tuple[float, ...]


@torch.no_grad()
def stated(model: nn.Module, tok: Any, requests: Sequence[EditRequest]) -> Stated:
    """Look at the targets of some facts, teacher-forced."""
    found = predict(model, [encode(tok, request.asked(), request.completion) for request in requests])
    right = (found.log_probs.argmax(-1) == found.tokens).split(found.spans)
    leads = lead(found.log_probs, found.tokens).split(found.spans)
    return Stated(
        tuple(found.nll().tolist()),
        tuple(bool(own.all()) for own in right),
        tuple(own.min().item() for own in leads),
    )


def lead(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """By how much a token is ahead of every other one, in nats: (t,).

    Args:
        log_probs: (t, v).
        tokens: (t,).
    """
    own = log_probs.gather(1, tokens[:, None])
    return (own - log_probs.scatter(1, tokens[:, None], -torch.inf).amax(1, keepdim=True))[:, 0]
