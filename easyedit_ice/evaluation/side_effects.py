"""What an edit does to the rest: facts the model knew before it, and text that has nothing to do with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from easyedit_ice.evaluation.drift import perplexity
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.likely_answers import Asked, answers_right
from easyedit_ice.text.rows import Row, predict, prefix_ids

WINDOW = 128
"""Tokens of the text in one row: a token is predicted from those before it in its window."""
_LETTERS = 16
"""Letters of the text that are tokenised for each token wanted."""


@dataclass(frozen=True)
class RestPoint:
    """What is left of the rest.

    Attributes:
        rights: for each of the known facts, whether the model answers it right.
        perplexity: of the fixed text, per token; none without a text.
    """

    rights: tuple[bool, ...]
    perplexity: float | None


class Rest:
    """Asks states of a model about the same known facts and the same text.

    Args:
        tok: the model's tokenizer.
        known: questions that the unedited model answers right.
        text: of which the beginning is read; none to leave perplexity out.
        tokens: how many tokens of the text.
        asking: how the questions are put to the model; by default as they are.
    """

    def __init__(
        self, tok: Tokenizer, facts: Sequence[Asked], text: str | None, tokens: int, asking: Asking = PLAIN
    ) -> None:
        self._tok, self._asking = tok, asking
        self._facts = list(facts)
        self._rows = [] if text is None else _windows(tok, text, tokens)

    def point(self, model: nn.Module, contexts: Sequence[Callable[[str], str]] = ()) -> RestPoint:
        """What is left in this state.

        Args:
            model: the state.
            contexts: of facts that are in force by standing before the question: the known facts are asked after each
                of them in turn. Perplexity is of the text alone.
        """
        wrap = contexts or (str,)
        asked = [(wrap[place % len(wrap)](prompt), answer) for place, (prompt, answer) in enumerate(self._facts)]
        rights = answers_right(model, self._tok, asked, self._asking)
        return RestPoint(tuple(rights), _perplexity(model, self._rows) if self._rows else None)


@torch.no_grad()
def _perplexity(model: nn.Module, rows: Sequence[Row]) -> float:
    """Of all predicted tokens, one window at a time: the logits of a large vocabulary take much memory."""
    total = 0.0
    with preserved(model):
        model.eval()
        for row in rows:
            total += predict(model, [row]).nll().double().item() * row.span
    return perplexity(total / sum(row.span for row in rows))


def _windows(tok: Tokenizer, text: str, tokens: int) -> list[Row]:
    """The first tokens of a text in windows, each after what the tokenizer begins a text with, if anything."""
    start = prefix_ids(tok, "")
    ids = prefix_ids(tok, text[: _LETTERS * tokens])[len(start) :][:tokens]
    rows = [(*start, *window) for window in batches(ids, WINDOW)]
    return [Row(row, len(row) - max(1, len(start))) for row in rows if len(row) > max(1, len(start))]
