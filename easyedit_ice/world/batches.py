"""Training batches: documents packed into rows of tokens."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from easyedit_ice.world.facts import World
from easyedit_ice.world.text import Document, Mix, Writer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONG_ROW = 512
_SHORT_ROW = 128


@dataclass(frozen=True)
class Stage:
    """A part of the course: up to which step, how often rows are long, and what documents are drawn."""

    until: float
    long_every: int
    mix: Mix


# To follow a context comes first and is quickly learnt; then the facts; then to tell subjects apart in the
# context, to reason over two hops, and to answer after other text, all of which build on the facts.
STAGES = (
    Stage(1500, 10, Mix(new_facts=0.30)),
    Stage(3000, 10, Mix()),
    Stage(
        math.inf,
        3,
        Mix(new_facts=0.25, statements=0.40, two_hops=0.45, aliases=0.4, several=0.5, rivals=True, others=0.20),
    ),
)


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

    In short rows each document sees only itself, at positions from 0. Some batches have long rows in which
    documents follow one another, so that later positions and earlier text are known as well.
    """

    def __init__(self, world: World, tokenizer: PreTrainedTokenizerBase, tokens: int, seed: int) -> None:
        self._rng = random.Random()
        self._writer = Writer(world, self._rng)
        self._tokenizer = tokenizer
        self._tokens = tokens
        self._seed = seed

    def __getitem__(self, step: int) -> Batch:
        self._rng.seed(f"batch {self._seed} {step}")
        stage = next(stage for stage in STAGES if step < stage.until)
        self._writer.mix = stage.mix
        if step % stage.long_every == stage.long_every - 1:
            return _long_rows(self._documents(), self._tokens // _LONG_ROW)
        return _short_rows(self._documents(), self._tokens // _SHORT_ROW)

    def _documents(self) -> Iterator[tuple[list[int], list[float]]]:
        while True:
            new = self._rng.random() < self._writer.mix.new_facts
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
