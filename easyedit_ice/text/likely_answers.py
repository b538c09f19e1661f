"""Whether a model would write given answers: exactly, greedily, many questions at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from easyedit_ice.model.blocks import context_length
from easyedit_ice.model.logits import logits_at
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import PER_PASS, cheapest, padded, tokens_on
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.rows import Row, answered

Asked = tuple[str, str]
"""A prompt, and the answer to it."""
TOKENS = {"cpu": 1536, "cuda": 8192}
"""Most tokens run side by side."""


def asked_row(tok: Tokenizer, prompt: str, answer: str, asking: Asking = PLAIN) -> Row:
    """A question with its answer, which is predicted."""
    return answered(tok, asking.text(prompt), answer.strip(), asking)


def answers_right(model: nn.Module, tok: Tokenizer, questions: Sequence[Asked], asking: Asking = PLAIN) -> list[bool]:
    """Whether each token of each answer is the likeliest after the prompt and those before it.

    Args:
        model: a causal language model; it is left as it was.
        tok: its tokenizer.
        questions: prompts with their answers.
        asking: how prompts are put to the model; by default as they are.
    """
    return rows_right(model, [asked_row(tok, *question, asking) for question in questions])


@torch.no_grad()
def rows_right(model: nn.Module, rows: Sequence[Row]) -> list[bool]:
    """Whether each predicted token of each row is the likeliest; of a row that the model has no room for, none is.

    Logits are worked out at these places alone.
    """
    longest = context_length(model)
    fitting = [row for row in dict.fromkeys(rows) if longest is None or len(row.ids) <= longest + 1]
    by_row: dict[Row, bool] = {row: True for row in fitting if not _places(row)}
    asked = [row for row in fitting if row not in by_row]
    device = next(model.parameters()).device
    most, per_pass = (tokens_on(device, budgets) for budgets in (TOKENS, PER_PASS))
    with preserved(model):
        model.eval()
        for chunk in cheapest([len(row.ids) - 1 for row in asked], most, per_pass):
            group = [asked[index] for index in chunk]
            ids, real = padded([row.ids[:-1] for row in group])
            inputs = {"input_ids": ids.to(device), "attention_mask": real.long().to(device)}
            where = [(index, place - 1) for index, row in enumerate(group) for place in _places(row)]
            said = iter(logits_at(model, inputs, where).argmax(-1).tolist())
            by_row |= {row: all([next(said) == row.ids[place] for place in _places(row)]) for row in group}
    return [by_row.get(row, False) for row in rows]


def _places(row: Row) -> range:
    """Of the predicted tokens; the first token of a text is predicted from nothing, and never asked."""
    return range(max(1, len(row.ids) - row.span), len(row.ids))
