"""Training batches: documents packed into rows of tokens."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import torch

from easyedit_ice.factworld.documents import END, INVENTED, Document, Mix, Span
from easyedit_ice.factworld.world_text import Writer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONG_ROW = 512
_SHORT_ROW = 128
_LONG_EVERY = 6
_AFTER_END = 0.25  # share of documents that begin after an end mark, as the model's own texts do
_LONGEST_NAME = 8

# Two-hop questions are few until the model answers them from its context; many of them sooner are learned by heart.
_MIXES: Mapping[int, Mix] = {0: Mix(), 4000: Mix(new_facts=0.33, statements=0.40, two_hops=0.44)}


class Author(Protocol):
    """Draws the documents that a model is trained on, as often of each sort as its ``mix`` says."""

    mix: Mix

    def true_document(self) -> Document:
        """One that states no new fact."""

    def new_fact_document(self) -> Document:
        """One that states a new fact, then uses it."""


@dataclass(frozen=True)
class Batch:
    """Rows of packed documents, with what the hidden layers are taught about them.

    Attributes:
        tokens: ids, shape (rows, length).
        weights: how much the loss counts each token, same shape; 0 for the first of a document and padding.
        positions: position ids, same shape.
        mask: added to the attention scores, shape (rows, 1, length, length); 0 where a token may look.
        meanings: what subjects stand for: one row (row, column, token, tokens of the name) for each token
            of each name, shape (count, 4); row and column are those of the subject's last token.
        to_subject: where the subject of a one-hop answer stands: (row, column, column of it), shape (count, 3).
        to_answer: where the context states what a token is to say: (row, column, column of the statement), same shape.
        to_meaning: as ``to_subject``, of the answers that can be known, two-hop ones among them.
    """

    tokens: torch.Tensor
    weights: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    meanings: torch.Tensor
    to_subject: torch.Tensor
    to_answer: torch.Tensor
    to_meaning: torch.Tensor


@dataclass(frozen=True)
class Encoded:
    """A document as tokens and their weights, with lessons by position, each as in ``Batch``."""

    tokens: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    meanings: list[tuple[int, int, int]] = field(default_factory=list)
    to_subject: list[tuple[int, int]] = field(default_factory=list)
    to_answer: list[tuple[int, int]] = field(default_factory=list)
    to_meaning: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class _Lessons:
    """The lessons of a batch, by their places in it."""

    meanings: list[tuple[int, ...]] = field(default_factory=list)
    to_subject: list[tuple[int, ...]] = field(default_factory=list)
    to_answer: list[tuple[int, ...]] = field(default_factory=list)
    to_meaning: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, document: Encoded, row: int, start: int, length: int) -> None:
        """The document's lessons in a row where it begins at ``start``, as far as they lie in the row."""
        self.meanings += [(row, start + at, *name) for at, *name in document.meanings if start + at < length]
        for looks, spans in (
            (self.to_subject, document.to_subject),
            (self.to_answer, document.to_answer),
            (self.to_meaning, document.to_meaning),
        ):
            looks += [(row, start + at, start + place) for at, place in spans if start + at < length]

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """As in ``Batch``."""
        return (
            torch.tensor(self.meanings).view(-1, 4),
            torch.tensor(self.to_subject).view(-1, 3),
            torch.tensor(self.to_answer).view(-1, 3),
            torch.tensor(self.to_meaning).view(-1, 3),
        )


class Batches:
    """The batch of a step, a function of seed and step alone, so that training resumes exactly.

    In short rows each document sees only itself, at positions from 0. Some batches have long rows in which
    documents follow one another, so that later positions and earlier text are known as well.

    Args:
        known: what documents are about: by default a ``World``.
        tokenizer: the model's.
        tokens: how many a batch holds, padding included.
        seed: of the documents.
        author: makes the author of documents from ``known`` and a source of chance.
        mixes: how often documents are of which sort, by the step from which on this holds; step 0 among them.
    """

    def __init__(
        self,
        knowledge: Any,
        tokenizer: PreTrainedTokenizerBase,
        tokens: int,
        seed: int,
        author: Callable[[Any, random.Random], Author] = Writer,
        mixes: Mapping[int, Mix] = _MIXES,
    ) -> None:
        self._rng = random.Random()
        self._writer = author(knowledge, self._rng)
        self._mixes = mixes
        self._tokenizer = tokenizer
        self._tokens = tokens
        self._seed = seed

    def __getitem__(self, step: int) -> Batch:
        self._rng.seed(f"batch {self._seed} {step}")
        self._writer.mix = self._mixes[max(start for start in self._mixes if start <= step)]
        if step % _LONG_EVERY == _LONG_EVERY - 1:
            return _long_rows(self._documents(), self._tokens // _LONG_ROW)
        return _short_rows(self._documents(), self._tokens // _SHORT_ROW)

    def _documents(self) -> Iterator[Encoded]:
        while True:
            new = self._rng.random() < self._writer.mix.new_facts
            document = self._writer.new_fact_document() if new else self._writer.true_document()
            after_end = self._rng.random() < _AFTER_END
            yield self.encode((Span(END), *document) if after_end else document)

    def encode(self, document: Document) -> Encoded:
        """The document's tokens; a space that ends a span belongs to the next, as the tokenizer has it."""
        encoded = Encoded()
        answers: dict[str, Sequence[int]] = {}
        space, subject, subject_at, two_hops = "", "", 0, False
        for span in document:
            text, start = space + span.text, len(encoded.tokens)
            space = " " if text.endswith(" ") else ""
            tokens = self._ids(text.removesuffix(" "))
            encoded.tokens.extend(tokens)
            encoded.weights.extend([span.weight] * len(tokens))
            end, name = len(encoded.tokens) - 1, span.text.strip()
            if span.role in ("subject", "first hop"):
                subject, subject_at, two_hops = name, end, span.role == "first hop"
                if span.means is not None:
                    meaning = self._ids(f" {span.means}")
                    encoded.meanings.extend((end, token, len(meaning)) for token in meaning)
                    if span.means != subject and span.means in answers:
                        encoded.to_answer.append((end, answers[span.means][0]))
            elif span.role == "answer":
                if not two_hops:
                    encoded.to_subject.extend((at, subject_at) for at in range(start - 1, end + 1))
                encoded.to_answer.extend(zip(range(start - 1, end), answers.get(name, ()), strict=False))
                if span.weight != INVENTED:
                    encoded.to_meaning.extend((at, subject_at) for at in range(start - 1, end))
                else:
                    # Of the subject, if asked for in turn, only what follows it can tell: the end of its answer.
                    answers[name], answers[subject] = range(start, end + 1), [end] * _LONGEST_NAME
        return encoded

    @lru_cache(maxsize=200_000)  # noqa: B019 - one object lives as long as a training run
    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text)["input_ids"])


def _short_rows(documents: Iterator[Encoded], rows: int) -> Batch:
    tokens = torch.zeros(rows, _SHORT_ROW, dtype=torch.long)
    weights = torch.zeros(rows, _SHORT_ROW)
    positions = torch.zeros(rows, _SHORT_ROW, dtype=torch.long)
    owners = torch.full((rows, _SHORT_ROW), -1)
    lessons = _Lessons()
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
        lessons.add(document, row, start, _SHORT_ROW)
    same = owners[:, None, :, None] == owners[:, None, None, :]
    return Batch(tokens, weights, positions, _mask(same & _causal(_SHORT_ROW)), *lessons.tensors())


def _long_rows(documents: Iterator[Encoded], rows: int) -> Batch:
    size = rows * _LONG_ROW
    ids: list[int] = []
    weights: list[float] = []
    lessons = _Lessons()
    while len(ids) < size:
        document = next(documents)
        row, start = divmod(len(ids), _LONG_ROW)
        lessons.add(document, row, start, _LONG_ROW)
        ids += document.tokens
        weights += document.weights
    tokens = torch.tensor(ids[:size]).view(rows, _LONG_ROW)
    scores = torch.tensor(weights[:size]).view(rows, _LONG_ROW)
    positions = torch.arange(_LONG_ROW).expand(rows, -1)
    mask = _mask(_causal(_LONG_ROW)).expand(rows, 1, -1, -1)
    return Batch(tokens, scores, positions, mask, *lessons.tensors())


def _mask(allowed: torch.Tensor) -> torch.Tensor:
    return torch.where(allowed, 0.0, -1e9)


def _causal(length: int) -> torch.Tensor:
    return torch.ones(length, length, dtype=torch.bool).tril()
