"""Whether a model states its facts: one pass over prompts and targets.

Shapes: t predicted tokens, v the vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.rows import Predictions, encode, in_parts, predict

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TargetScores:
    """How a model states some facts.

    Attributes:
        nll: of each target after its prompt, in nats per token.
        likeliest: whether each of the target's tokens is the most probable, given those before.
        leads: by how much the least sure of the target's tokens is ahead of every other one, in nats.
    """

    nll: tuple[float, ...]
    likeliest: tuple[bool, ...]
    leads: tuple[float, ...]


@torch.no_grad()
def stated(model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest]) -> TargetScores:
    """Look at the targets of some facts, teacher-forced."""
    rows = [encode(tok, request.asked(), request.completion) for request in requests]
    parts = [_stated(predict(model, part)) for part in in_parts(model, rows)]
    return TargetScores(
        sum((part.nll for part in parts), ()),
        sum((part.likeliest for part in parts), ()),
        sum((part.leads for part in parts), ()),
    )


def _stated(predictions: Predictions) -> TargetScores:
    right = (predictions.log_probs.argmax(-1) == predictions.tokens).split(predictions.spans)
    leads = lead(predictions.log_probs, predictions.tokens).split(predictions.spans)
    return TargetScores(
        tuple(predictions.nll().tolist()),
        tuple(bool(values.all()) for values in right),
        tuple(values.min().item() for values in leads),
    )


def lead(log_probs: Tensor, tokens: Tensor) -> Tensor:
    """By how much a token is ahead of every other one, in nats: (t,).

    Args:
        log_probs: (t, v).
        tokens: (t,).
    """
    target = log_probs.gather(1, tokens[:, None])
    return (target - log_probs.scatter(1, tokens[:, None], -torch.inf).amax(1, keepdim=True))[:, 0]


def not_written(requests: Sequence[EditRequest], after: TargetScores) -> list[str]:
    """What is to be said of facts that the edited model does not state, each logged as well."""
    missed = [
        f"{request.prompt!r} is not followed by {request.target_new!r}, which has {nll:.2f} nats a token"
        for request, nll, likeliest in zip(requests, after.nll, after.likeliest, strict=True)
        if not likeliest
    ]
    for words in missed:
        logger.warning("not written: %s", words)
    return missed
