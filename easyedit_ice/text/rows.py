"""Token sequences whose last tokens are predicted, and how a model scores a batch of them.

Shapes: n rows, t predicted tokens in all, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.model.activation_memory import FP32, vocabulary
from easyedit_ice.model.logits import logits_at
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import alike
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.tokens import tokens

TOGETHER = 64 * 2**20
"""Most bytes of log-probabilities of rows that are looked at one part after the other."""


@dataclass(frozen=True)
class Row:
    """A sequence of token ids.

    Attributes:
        ids: all tokens.
        span: how many of the last tokens are predicted; the tokens before them are given.
    """

    ids: tuple[int, ...]
    span: int

    @property
    def predicted(self) -> tuple[int, ...]:
        """The tokens that are predicted."""
        return self.ids[len(self.ids) - self.span :]

    def after(self, prefix: Sequence[int]) -> Row:
        """The predicted tokens of this row after another beginning."""
        return Row((*prefix, *self.predicted), self.span)


@dataclass(frozen=True)
class Predictions:
    """What a model says at the predicted positions of some rows, one row's span after the other's.

    Attributes:
        log_probs: (t, v) in fp32, or in fp64 of a model that computes so.
        tokens: (t,), the tokens that stand there.
        spans: span of each row; they sum to t.
    """

    log_probs: Tensor
    tokens: Tensor
    spans: tuple[int, ...]

    def nll(self) -> Tensor:
        """Mean negative log-likelihood of each row's tokens, in nats per token: (n,)."""
        return self._row_means(-self.log_probs.gather(1, self.tokens[:, None])[:, 0])

    def kl_from(self, teacher: Tensor) -> Tensor:
        """Mean over each row's span of KL(teacher ‖ self), in nats per token: (n,).

        Args:
            teacher: (t, v) log-probabilities of the teacher at the same tokens.
        """
        return self._row_means((teacher.exp() * (teacher - self.log_probs)).sum(-1))

    def split(self) -> tuple[Tensor, ...]:
        """Log-probabilities of each row: (span, v) each."""
        rows: tuple[Tensor, ...] = self.log_probs.split(self.spans)
        return rows

    def select(self, rows: Sequence[int]) -> Predictions:
        """The predictions of some of the rows."""
        tokens = self.tokens.split(self.spans)
        log_probs = self.split()
        return Predictions(
            torch.cat([log_probs[row] for row in rows]),
            torch.cat([tokens[row] for row in rows]),
            tuple(self.spans[row] for row in rows),
        )

    def _row_means(self, values: Tensor) -> Tensor:
        return torch.stack([row.mean() for row in values.split(self.spans)])


def in_parts(model: nn.Module, rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows, as many at a time as have room for their log-probabilities in :data:`TOGETHER`; at least one."""
    room = TOGETHER // (FP32 * vocabulary(model))
    part: list[Row] = []
    for row in rows:
        if part and sum(own.span for own in part) + row.span > room:
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def predict(model: nn.Module, rows: Sequence[Row]) -> Predictions:
    """Run the rows, those of similar length side by side, padded on the right, where a causal model does not see it."""
    by_row: dict[int, Tensor] = {}
    for group in alike([len(row.ids) for row in rows]):
        log_probs = _log_probs(model, [rows[index] for index in group])
        by_row |= zip(group, log_probs.split([rows[index].span for index in group]), strict=True)
    device = by_row[0].device
    tokens = torch.tensor([token for row in rows for token in row.predicted], device=device)
    return Predictions(
        torch.cat([by_row[index] for index in range(len(rows))]), tokens, tuple(row.span for row in rows)
    )


def _log_probs(model: nn.Module, rows: Sequence[Row]) -> Tensor:
    """Log-probabilities at the predicted positions, one row's span after the other's: (t, v) in fp32.

    The last token of a row is predicted and not read.
    """
    device = embedding_weight(model).device
    lengths = torch.tensor([len(row.ids) - 1 for row in rows])
    ids = nn.utils.rnn.pad_sequence([torch.tensor(row.ids[:-1]) for row in rows], batch_first=True)
    attention = torch.arange(ids.shape[1]) < lengths[:, None]
    inputs = {"input_ids": ids.to(device), "attention_mask": attention.long().to(device)}
    before = [
        (index, place - 1) for index, row in enumerate(rows) for place in range(len(row.ids) - row.span, len(row.ids))
    ]
    logits = logits_at(model, inputs, before)
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)


def encode(tok: Tokenizer, text: str, continuation: str) -> Row:
    """Tokenise a text with its continuation as one string, as a reader meets it; the continuation is predicted.

    The split is where the tokens of the text alone and those of the whole part ways, so that a tokenizer that
    merges across the border is followed and not fought.
    """
    whole, alone = tokens(tok, text + continuation), tokens(tok, text)
    shared = next((i for i, (a, b) in enumerate(zip(alone, whole, strict=False)) if a != b), len(alone))
    return Row(whole, len(whole) - min(shared, len(whole) - 1))


def prefix_ids(tok: Tokenizer, text: str) -> tuple[int, ...]:
    """Tokens of a text that a model goes on from.

    Spaces at its end are left out, since tokenizers see them as the beginning of the next word; what else it ends in,
    such as the line break of a chat template, stays.
    """
    return tokens(tok, text.rstrip(" "))


def answered(tok: Tokenizer, text: str, answer: str, asking: Asking = PLAIN) -> Row:
    """A question with an answer to it, which is predicted, as :func:`prefix_ids` and :func:`encode` have them.

    Args:
        tok: a transformers tokenizer.
        text: what is asked, as it is put to the model.
        answer: follows with the space that the text ends in, or with what belongs between the two.
        asking: how the text was put; by default as it is.
    """
    asked = text.rstrip(" ")
    return encode(tok, asked, (text[len(asked) :] or asking.gap_after(asked)) + answer)
