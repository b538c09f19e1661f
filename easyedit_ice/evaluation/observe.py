"""What a model answers, in batches: under teacher forcing, and when it writes freely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from easyedit_ice.evaluation.questions import Question
from easyedit_ice.preserve import preserved
from easyedit_ice.training.rows import Row, encode, given, predict
from easyedit_ice.training.sampling import write

BATCH = 64


@dataclass(frozen=True)
class Observation:
    """A model's answer to one question.

    Attributes:
        expected: tokens of the expected answer.
        predicted: the likeliest token at each of their places, given the prompt and the expected ones before it.
        generated: what the model writes after the prompt, greedily, until it stops by itself or by the limit.
    """

    expected: tuple[int, ...]
    predicted: tuple[int, ...]
    generated: str

    @property
    def token_accuracy(self) -> float:
        """Share of the expected tokens that are the likeliest: EasyEdit's ``rewrite_acc`` and its kin."""
        return _agreement(self.expected, self.predicted)

    def agrees_with(self, other: Observation) -> float:
        """Share of places with the same likeliest token: EasyEdit's locality."""
        return _agreement(self.predicted, other.predicted)


@torch.no_grad()
def observe(
    model: nn.Module, tok: Any, questions: Sequence[Question], *, max_new_tokens: int = 16
) -> list[Observation]:
    """Ask the model; it is left as it was.

    Args:
        model: in evaluation mode while it is asked.
        tok: its tokenizer.
        questions: in any order.
        max_new_tokens: where free writing is cut off.
    """
    rows = [encode(tok, question.prompt, _spaced(question.prompt, question.answer)) for question in questions]
    order = sorted(range(len(questions)), key=lambda index: len(rows[index].ids))
    observations: dict[int, Observation] = {}
    with preserved(model, tok):
        model.eval()
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            predicted = _likeliest(model, [rows[index] for index in batch])
            prefixes = [given(tok, questions[index].prompt.rstrip()) for index in batch]
            written = write(model, tok, prefixes, length=max_new_tokens)
            for index, tokens, text in zip(batch, predicted, written, strict=True):
                generated = tok.decode(text, skip_special_tokens=True).strip()
                observations[index] = Observation(rows[index].predicted, tokens, generated)
    return [observations[index] for index in range(len(questions))]


def _likeliest(model: nn.Module, rows: Sequence[Row]) -> list[tuple[int, ...]]:
    return [tuple(row.argmax(-1).tolist()) for row in predict(model, rows).split()]


def _spaced(prompt: str, answer: str) -> str:
    return answer if prompt[-1].isspace() else f" {answer}"


def _agreement(one: Sequence[int], other: Sequence[int]) -> float:
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)
