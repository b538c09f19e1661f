"""How likely a model finds several answers to one prompt: is the new one likelier than the old one?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from easyedit_ice.evaluation.teacher_forced.readings import Line, mean_log_prob, read
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.rows import Row, answered


def alternatives(
    model: nn.Module, tok: Tokenizer, questions: Sequence[tuple[str, Sequence[str]]], asking: Asking = PLAIN
) -> list[tuple[float, ...]]:
    """Mean log-probability of each answer after its prompt, in nats per token; the model is left as it was.

    ROME's and MEMIT's evaluations call an edit effective where that of the new answer is higher than that of the old
    one (arXiv 2202.05262, section 3.4; arXiv 2210.07229, section 5). Prompt and answer are tokenised as one text, with
    a space between them unless the prompt ends in white space, or what the chat template puts there. An answer of one
    token needs nothing but its prompt, which its rivals begin with, so it costs no run of its own.

    Args:
        model: a causal language model, in evaluation mode while it is asked.
        tok: its tokenizer.
        questions: prompts as they are put to the model, each with its answers.
        asking: how they were put; by default as they are.
    """
    rows = [answered(tok, prompt, answer, asking) for prompt, answers in questions for answer in answers]
    with preserved(model), torch.no_grad():
        model.eval()
        readings = iter(read(model, ("input_ids", "attention_mask"), (0, 0), [_line(row) for row in rows]))
    return [tuple(mean_log_prob(next(readings).values()) for _ in answers) for _, answers in questions]


def _line(row: Row) -> Line:
    """The row without its last token, which predicts nothing that is asked."""
    first = max(1, len(row.ids) - row.span)
    places = tuple((place - 1, row.ids[place]) for place in range(first, len(row.ids)))
    return Line(tuple((token, 1) for token in row.ids[:-1]), places)
