"""Whether a model states its facts: one pass over prompts and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from easyedit_ice.requests import EditRequest
from easyedit_ice.text.rows import encode, predict


@dataclass(frozen=True)
class Stated:
    """How a model states some facts.

    Attributes:
        nll: of each target behind its prompt, in nats per token.
        likeliest: whether each of the target's tokens is the most probable, given those before.
    """

    nll: tuple[float, ...]
    likeliest: tuple[bool, ...]


@torch.no_grad()
def stated(model: nn.Module, tok: Any, requests: Sequence[EditRequest]) -> Stated:
    """Look at the targets of some facts, teacher-forced."""
    found = predict(model, [encode(tok, request.asked(), request.completion) for request in requests])
    right = (found.log_probs.argmax(-1) == found.tokens).split(found.spans)
    return Stated(tuple(found.nll().tolist()), tuple(bool(own.all()) for own in right))
