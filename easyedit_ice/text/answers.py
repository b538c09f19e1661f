"""Whether a model would write given answers: exactly, greedily, many questions at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from easyedit_ice.logits import logits_at
from easyedit_ice.preserve import preserved
from easyedit_ice.text.passes import chunks, padded
from easyedit_ice.text.rows import Row, encode

Asked = tuple[str, str]
"""A prompt, and the answer that a space parts from it."""
TOKENS = {"cpu": 1536, "cuda": 8192}
"""Most tokens run side by side."""


def asked_row(tok: Any, prompt: str, answer: str) -> Row:
    """A question with its answer, which is predicted."""
    return encode(tok, prompt.rstrip(), f" {answer.strip()}")


def answers_right(model: nn.Module, tok: Any, questions: Sequence[Asked]) -> list[bool]:
    """Whether each token of each answer is the likeliest after the prompt and those before it.

    Args:
        model: a causal language model; it is left as it was.
        tok: its tokenizer.
        questions: prompts with their answers.
    """
    return rows_right(model, [asked_row(tok, *question) for question in questions])


@torch.no_grad()
def rows_right(model: nn.Module, rows: Sequence[Row]) -> list[bool]:
    """Whether each predicted token of each row is the likeliest; logits are worked out at these places alone."""
    found: dict[int, bool] = {}
    device = next(model.parameters()).device
    with preserved(model):
        model.eval()
        for chunk in chunks([row.ids[:-1] for row in rows], TOKENS.get(device.type, TOKENS["cuda"])):
            ids, real = padded([rows[index].ids[:-1] for index in chunk])
            inputs = {"input_ids": ids.to(device), "attention_mask": real.long().to(device)}
            where = [(n, place - 1) for n, index in enumerate(chunk) for place in _places(rows[index])]
            said = iter(logits_at(model, inputs, where).argmax(-1).tolist())
            found |= {index: all([next(said) == rows[index].ids[p] for p in _places(rows[index])]) for index in chunk}
    return [found[index] for index in range(len(rows))]


def _places(row: Row) -> range:
    """Of the predicted tokens; the first token of a text is predicted from nothing, and never asked."""
    return range(max(1, len(row.ids) - row.span), len(row.ids))
