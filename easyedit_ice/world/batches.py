"""Training batches: documents packed into rows of tokens."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from easyedit_ice.world.documents import END, Document, Mix, Span
from easyedit_ice.world.facts import World
from easyedit_ice.world.text import Writer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONG_ROW = 512
_SHORT_ROW = 128
_AFTER_END = 0.25


@dataclass(frozen=True)
class Stage:
    """A part of the course.

    Attributes:
        until: its end, in steps.
        long_every: of how many batches one has long rows.
        mix: which documents are drawn.
        meanings: weight of the loss by which the middle layer names what a noun phrase stands for.
    """

    until: float
    long_every: int
    mix: Mix
    meanings: float = 0.5

    @classmethod
    def of(cls, step: int) -> Stage:
        """The stage that a step belongs to."""
        return next(stage for stage in STAGES if step < stage.until)


# To tell the subjects of new facts apart comes first, which needs many examples at once, and before there are
# facts to recall instead; then all else, with the facts.
STAGES = (
    Stage(
        1200, 10, Mix(new_facts=0.6, statements=0.45, two_hops=0.40, several=0.4, rivals=True, others=0.20, rosters=0.8)
    ),
    Stage(
        math.inf,
        5,
        Mix(new_facts=0.25, statements=0.45, two_hops=0.40, several=0.4, rivals=True, others=0.20, rosters=0.4),
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
        meanings: what noun phrases stand for: one row (row, column, token, tokens of the name) for each token
            of each name, shape (count, 4); row and column are those of the phrase's last token.
    """

    tokens: torch.Tensor
    weights: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    meanings: torch.Tensor


@dataclass(frozen=True)
class Encoded:
    """A document as tokens, their weights, and the names that its noun phrases stand for, by position."""

    tokens: list[int]
    weights: list[float]
    meanings: list[tuple[int, tuple[int, ...]]]


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
        stage = Stage.of(step)
        self._writer.mix = stage.mix
        if step % stage.long_every == stage.long_every - 1:
            return _long_rows(self._documents(), self._tokens // _LONG_ROW)
        return _short_rows(self._documents(), self._tokens // _SHORT_ROW)

    def _documents(self) -> Iterator[Encoded]:
        while True:
            new = self._rng.random() < self._writer.mix.new_facts
            document = self._writer.new_fact_document() if new else self._writer.true_document()
            if self._rng.random() < _AFTER_END:
                document = (Span(END), *document)
            yield self.encode(document)

    def encode(self, document: Document) -> Encoded:
        """The document's tokens; a space that ends a span belongs to the next, as the tokenizer has it."""
        encoded = Encoded([], [], [])
        space = ""
        for span in document:
            text = space + span.text
            space = " " if text.endswith(" ") else ""
            tokens = self._ids(text.removesuffix(" "))
            encoded.tokens.extend(tokens)
            encoded.weights.extend([span.weight] * len(tokens))
            if span.means is not None:
                encoded.meanings.append((len(encoded.tokens) - 1, self._ids(f" {span.means}")))
        return encoded

    @lru_cache(maxsize=200_000)  # noqa: B019 - one object lives as long as a training run
    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text)["input_ids"])


def _short_rows(documents: Iterator[Encoded], rows: int) -> Batch:
    tokens = torch.zeros(rows, _SHORT_ROW, dtype=torch.long)
    weights = torch.zeros(rows, _SHORT_ROW)
    positions = torch.zeros(rows, _SHORT_ROW, dtype=torch.long)
    owners = torch.full((rows, _SHORT_ROW), -1)
    meanings: list[tuple[int, int, int, int]] = []
    filled = [0] * rows
    for number, document in enumerate(documents):
        ids, scores = document.tokens[:_SHORT_ROW], document.weights[:_SHORT_ROW]
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
        meanings += _placed(document, row, start, _SHORT_ROW)
    same = owners[:, None, :, None] == owners[:, None, None, :]
    mask = _mask(same & _causal(_SHORT_ROW))
    return Batch(tokens, weights, positions, mask, torch.tensor(meanings).view(-1, 4))


def _long_rows(documents: Iterator[Encoded], rows: int) -> Batch:
    size = rows * _LONG_ROW
    ids: list[int] = []
    weights: list[float] = []
    meanings: list[tuple[int, int, int, int]] = []
    while len(ids) < size:
        document = next(documents)
        row, start = divmod(len(ids), _LONG_ROW)
        meanings += _placed(document, row, start, _LONG_ROW)
        ids += document.tokens
        weights += document.weights
    tokens = torch.tensor(ids[:size]).view(rows, _LONG_ROW)
    scores = torch.tensor(weights[:size]).view(rows, _LONG_ROW)
    positions = torch.arange(_LONG_ROW).expand(rows, -1)
    mask = _mask(_causal(_LONG_ROW)).expand(rows, 1, -1, -1)
    return Batch(tokens, scores, positions, mask, torch.tensor(meanings).view(-1, 4))


def _placed(document: Encoded, row: int, start: int, length: int) -> list[tuple[int, int, int, int]]:
    """The document's meanings in a row where it begins at ``start``, as far as they lie in the row."""
    return [
        (row, start + position, token, len(name))
        for position, name in document.meanings
        if start + position < length
        for token in name
    ]


def _mask(allowed: torch.Tensor) -> torch.Tensor:
    return torch.where(allowed, 0.0, -1e9)


def _causal(length: int) -> torch.Tensor:
    return torch.ones(length, length, dtype=torch.bool).tril()
