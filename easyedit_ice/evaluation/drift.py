"""How far a model has moved on text that no edit is about: perplexity, and divergence from what it said before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.rows import Row, answered, predict
from easyedit_ice.text.tokens import tokens

BATCH = 32
_MOST_NATS = 709
"""Of which the exponential is a double."""


@dataclass(frozen=True)
class DriftPoint:
    """A model's state on fixed text.

    Attributes:
        perplexity: per token, of the fixed texts, the first token of each left out.
        kl: mean KL(base ‖ model) in nats per token at the answers of the questions that shall stay.
    """

    perplexity: float
    kl: float


class Drift:
    """Remembers what a model says, to compare later states with.

    Args:
        model: in its base state.
        tok: its tokenizer.
        texts: fixed texts of at least two tokens; longer ones are cut off.
        questions: prompts, as they are put to the model, with their answers, that no edit shall change.
        max_length: most tokens of a text.
        asking: how the prompts were put; by default as they are.
    """

    def __init__(
        self,
        model: nn.Module,
        tok: Tokenizer,
        texts: Sequence[str],
        questions: Sequence[tuple[str, str]],
        max_length: int,
        asking: Asking = PLAIN,
    ) -> None:
        cut = [tokens(tok, text)[:max_length] for text in texts]
        self._texts = [Row(ids, len(ids) - 1) for ids in cut if len(ids) > 1]
        self._questions = [answered(tok, prompt, answer, asking) for prompt, answer in questions]
        self._base = self._answers(model)

    def point(self, model: nn.Module) -> DriftPoint:
        """Where a later state of the model is."""
        total = tokens = 0.0
        for rows in batches(self._texts, BATCH):
            spans = torch.tensor([row.span for row in rows], dtype=torch.float64)
            total += float(_predict(model, rows).nll().cpu().double() @ spans)
            tokens += sum(row.span for row in rows)
        divergences = [
            (was.exp() * (was - now)).sum(-1) for was, now in zip(self._base, self._answers(model), strict=True)
        ]
        kl = torch.cat(divergences).mean().item() if divergences else 0.0
        return DriftPoint(perplexity(total / tokens) if tokens else math.nan, kl if math.isnan(kl) else max(0.0, kl))

    def _answers(self, model: nn.Module) -> list[Tensor]:
        """Log-probabilities of each batch of questions: (t, v) on the CPU."""
        return [_predict(model, rows).log_probs.cpu() for rows in batches(self._questions, BATCH)]


def perplexity(nats: float) -> float:
    """Of a loss per token, in nats; infinite where no number is large enough."""
    return math.inf if nats > _MOST_NATS else math.exp(nats)


@torch.no_grad()
def _predict(model: nn.Module, rows: Sequence[Row]) -> Any:
    with preserved(model):
        model.eval()
        return predict(model, rows)
