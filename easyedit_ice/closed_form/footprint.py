"""What the closed-form editors hold beside the model, by quantity.

Shapes: in and out are the widths of a projection, d that of the residual stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from easyedit_ice.activations import (
    FP32,
    Pass,
    bytes_per_token,
    cache_per_token,
    element_size,
    logits_bytes,
    vocabulary,
)
from easyedit_ice.anatomy import ModelAnatomy, Projection
from easyedit_ice.moments.statistics import BATCH_TOKENS
from easyedit_ice.text.passes import TOKENS
from easyedit_ice.text.sampling import ROWS

FP64 = 8
TARGET = 4
"""Tokens of a fact's statement that are predicted."""


def second_moment_bytes(projections: Iterable[Projection]) -> int:
    """A matrix (in, in) in fp64 for each projection, in main memory: its second moment, or the factor of that."""
    return sum(FP64 * p.in_features**2 for p in projections)


def measuring_bytes(model: nn.Module, projections: Sequence[Projection]) -> int:
    """A pass over general text: what the projections read, in fp32, and the widest inner tensors of an MLP."""
    widest = max(p.in_features for p in projections)
    return BATCH_TOKENS * (FP32 * sum(p.in_features for p in projections) + 4 * element_size(model) * widest)


def factoring_bytes(projections: Sequence[Projection]) -> int:
    """Second moments and the factors that are made of them, and the one that is being factored, in main memory."""
    return 2 * second_moment_bytes(projections) + max(FP64 * p.in_features**2 for p in projections)


def facts_together(contexts: Sequence[int], facts: int, tokens: int, device: str) -> int:
    """Facts whose values are sought side by side: as many as their tokens from the subject on allow."""
    return max(1, min(facts, TOKENS[device] // ((len(contexts) + 1) * _read(tokens))))


def seeking_pass(
    model: nn.Module, projections: Sequence[Projection], contexts: Sequence[int], facts: int, tokens: int
) -> tuple[int, int]:
    """Bytes of activations, and of logits, while values are sought.

    Each fact is read alone and behind every context, from its subject on with gradients through the blocks above the
    last projection; of the tokens before keys and values are kept.

    Args:
        model: its shapes.
        projections: that are written to.
        contexts: their lengths in tokens.
        facts: whose values are sought side by side.
        tokens: of a statement; its subject ends midway.
    """
    rows = len(contexts) + 1
    own = Pass(rows * _read(tokens), rows * TARGET + 1, 0).times(facts)
    before = facts * (sum(contexts) + rows * (tokens - _read(tokens)))
    activations = own.tokens * bytes_per_token(model, projections[-1:], checkpointed=False)
    return activations + before * cache_per_token(model), logits_bytes(model, own)


def reading_pass(
    model: nn.Module, facts: int, tokens: int, contexts: int, names: int, device: str
) -> tuple[int, int, int]:
    """Tokens of the largest pass of FastICE, bytes of activations in it, and of logits.

    Facts are read behind contexts, of the new and of the old, and with other names; no pass keeps anything for a
    backward one, so that it holds the stream and the widest inner tensors of one block.

    Args:
        model: its shapes.
        facts: written together.
        tokens: of a statement.
        contexts: wordings that facts are stated in.
        names: in place of a subject.
        device: that the model is on.
    """
    read = min(TOKENS[device], facts * max(2 * contexts * 3 * tokens, names * tokens))
    widest = max(p.in_features for p in ModelAnatomy(model).projections)
    each = element_size(model) * (4 * widest + 4 * ModelAnatomy(model).hidden_size)
    predicted = min(ROWS, max(facts * TARGET, names))
    return read, read * each, 3 * FP32 * vocabulary(model) * predicted


def _read(tokens: int) -> int:
    """Tokens from the subject's last on."""
    return max(1, tokens // 2)
