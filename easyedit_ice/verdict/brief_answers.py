"""Brief answers: a few tokens a model writes after each of many texts, and how sure it is of them.

Shapes: n rows, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.evaluation.leading_answer import leading_answer, plain
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.rows import prefix_ids
from easyedit_ice.text.sampling import write
from easyedit_ice.text.tokens import ends_of_text

LENGTH = 5
"""Most tokens of a brief answer."""
_BATCH = 64


@dataclass(frozen=True)
class Brief:
    """A brief answer.

    Attributes:
        text: its leading answer (:mod:`easyedit_ice.evaluation.leading_answer`); may be empty.
        surprise: of its tokens, in nats per token; less where the model is surer.
    """

    text: str
    surprise: float

    @property
    def first(self) -> str:
        """Its first word but for articles, in lower case and without punctuation."""
        return plain(self.text, False).partition(" ")[0]


@torch.no_grad()
def brief_answers(model: nn.Module, tok: Tokenizer, asked: Sequence[str]) -> list[Brief]:
    """What a model writes greedily after each text, as it is put to it.

    A text that fills the model's context has an empty answer.

    Args:
        model: in evaluation mode.
        tok: its tokenizer.
        asked: texts; the same text is asked once.
    """
    longest, ends = ModelAnatomy(model).context_length, ends_of_text(model, tok)
    rows = {text: prefix_ids(tok, text) for text in dict.fromkeys(asked)}
    fitting = [text for text in rows if longest is None or len(rows[text]) + LENGTH <= longest]
    fitting.sort(key=lambda text: len(rows[text]))
    by_text: dict[str, Brief] = {}
    for start in range(0, len(fitting), _BATCH):
        texts, surprises = fitting[start : start + _BATCH], _Surprises()
        written = write(model, tok, [rows[text] for text in texts], length=LENGTH, processors=[surprises])
        means = surprises.means([len(ids) for ids in written])
        for text, ids, surprise in zip(texts, written, means, strict=True):
            said = tok.decode([token for token in ids if token not in ends], skip_special_tokens=True)
            by_text[text] = Brief(leading_answer(said), surprise)
    return [by_text.get(text, Brief("", torch.inf)) for text in asked]


class _Surprises:
    """Looks on while the likeliest tokens are written, and changes nothing."""

    def __init__(self) -> None:
        self._steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (n, v), as they were."""
        self._steps.append(-scores.float().log_softmax(-1).amax(-1).cpu())
        return scores

    def means(self, lengths: Sequence[int]) -> list[float]:
        """Mean over each row's own tokens, of which there are so many."""
        steps = torch.stack(self._steps, 1)
        return [row[: max(1, length)].mean().item() for row, length in zip(steps, lengths, strict=True)]
