"""Training batches: documents packed into rows of tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from easyedit_ice.world.facts import World
from easyedit_ice.world.text import Document, Writer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONG_EVERY = 10
_LONG_ROW = 512
_SHORT_ROW = 128
_EARLY_STEPS = 1500
_EARLY_SHARE, _LATE_SHARE = 0.30, 0.17


@dataclass(frozen=True)
class Batch:
    """Rows of packed documents.

    Attributes:
        tokens: ids, shape (rows, length).
        weights: how much the loss counts each token, same shape; 0 for the first of a document and padding.
        positions: position ids, same shape.
        mask: added to the attention scores, shape (rows, 1, length, length); 0 where a token may look.
    """

    tokens: torch.Tensor
    weights: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor


class Batches:
    """The batch of a step, a function of seed and step alone, so that training resumes exactly.

    In short rows each document sees only itself, at positions from 0. Every tenth batch has long rows in
    which documents follow one another, so that later positions and earlier text are known as well.
    """

    def __init__(self, world: World, tokenizer: PreTrainedTokenizerBase, tokens: int, seed: int) -> None:
        self._writer = Writer(world, random.Random())
        self._tokenizer = tokenizer
        self._tokens = tokens
        self._seed = seed

    def __getitem__(self, step: int) -> Batch:
        rng = random.Random(f"batch {self._seed} {step}")
        self._writer.rng = rng
        share = _EARLY_SHARE if step < _EARLY_STEPS else _LATE_SHARE
        documents = self._documents(rng, share)
        if step % _LONG_EVERY == _LONG_EVERY - 1:
            return _long_rows(documents, self._tokens // _LONG_ROW)
        return _short_rows(documents, self._tokens // _SHORT_ROW)

    def _documents(self, rng: random.Random, share: float) -> Iterator[tuple[list[int], list[float]]]:
        while True:
            new = rng.random() < share
            yield self.encode(self._writer.new_fact_document() if new else self._writer.true_document())

    def encode(self, document: Document) -> tuple[list[int], list[float]]:
        """Token ids and weights; a space that ends a span belongs to the next, as the tokenizer has it."""
        ids: list[int] = []
        weights: list[float] = []
        space = ""
        for span in document:
            text = space + span.text
            space = " " if text.endswith(" ") else ""
            tokens = self._ids(text.removesuffix(" "))
            ids += tokens
            weights += [span.weight] * len(tokens)
        return ids, weights

    @lru_cache(maxsize=200_000)  # noqa: B019 - one object lives as long as a training run
    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text)["input_ids"])


def _short_rows(documents: Iterator[tuple[list[int], list[float]]], rows: int) -> Batch:
    tokens = torch.zeros(rows, _SHORT_ROW, dtype=torch.long)
    weights = torch.zeros(rows, _SHORT_ROW)
    positions = torch.zeros(rows, _SHORT_ROW, dtype=torch.long)
    owners = torch.full((rows, _SHORT_ROW), -1)
    filled = [0] * rows
    for number, (ids, scores) in enumerate(documents):
        ids, scores = ids[:_SHORT_ROW], scores[:_SHORT_ROW]
        row = next((row for row in range(rows) if filled[row] + len(ids) <= _SHORT_ROW), None)
        if row is None:
            break
        start = filled[row]
        filled[row] += len(ids)
        place = slice(start, filled[row])
        tokens[row, place] = torch.tensor(ids)
        weights[row, place] = torch.tensor([0.0, *scores[1:]])
        positions[row, place] = torch.arange(len(ids))
        owners[row, place] = number
    same = owners[:, None, :, None] == owners[:, None, None, :]
    return Batch(tokens, weights, positions, _mask(same & _causal(_SHORT_ROW)))


def _long_rows(documents: Iterator[tuple[list[int], list[float]]], rows: int) -> Batch:
    size = rows * _LONG_ROW
    ids: list[int] = []
    weights: list[float] = []
    while len(ids) < size:
        more, scores = next(documents)
        ids += more
        weights += scores
    tokens = torch.tensor(ids[:size]).view(rows, _LONG_ROW)
    scores = torch.tensor(weights[:size]).view(rows, _LONG_ROW)
    positions = torch.arange(_LONG_ROW).expand(rows, -1)
    return Batch(tokens, scores, positions, _mask(_causal(_LONG_ROW)).expand(rows, 1, -1, -1))


def _mask(allowed: torch.Tensor) -> torch.Tensor:
    return torch.where(allowed, 0.0, -1e9)


def _causal(length: int) -> torch.Tensor:
    return torch.ones(length, length, dtype=torch.bool).tril()
