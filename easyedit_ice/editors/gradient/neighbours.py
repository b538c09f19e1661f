"""Text that is out of an edit's scope, written by the model itself: what an edit must leave as it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from easyedit_ice.edit.hparams import Section, setting
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.objectives import TARGET, Locality, Objective
from easyedit_ice.model.activation_memory import Pass
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches
from easyedit_ice.text.rows import Row, predict, prefix_ids
from easyedit_ice.text.sampling import ROWS, sample
from easyedit_ice.text.subjects import mentions, renamed
from easyedit_ice.text.tokens import beginning

_NAME = re.compile(r"\b[^\W\d_a-z]\w+(?: [^\W\d_a-z]\w+)*")


@dataclass(frozen=True)
class Surroundings:
    """Texts that are out of an edit's scope.

    Attributes:
        general: about anything.
        neighbours: of each fact, by its index.
    """

    general: Sequence[Row] = ()
    neighbours: Mapping[int | None, Sequence[Row]] = field(default_factory=dict)


@dataclass
class LocalitySettings(Section):
    """What is kept as it is, by example."""

    locality_weight: float = setting(0.0, "weight of the divergence from the unedited model on general text", low=0)
    locality_samples: int = setting(16, "general texts the model writes for that", low=1)
    locality_length: int = setting(16, "their length in tokens", low=2)
    locality_rows: int = setting(4, "how many of them each step looks at", low=1)
    neighbour_weight: float = setting(
        0.0, "weight of the same divergence after the fact's prompt with other names in place of the subject", low=0
    )
    neighbour_names: int = setting(
        16, "names for that, from the general texts: those that the model is surest about", low=1
    )
    neighbour_length: int = setting(4, "tokens after each such prompt", low=1)
    neighbour_rows: int = setting(4, "how many of them each step looks at, for each fact", low=1)

    def surroundings(
        self, model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], neighbours: bool
    ) -> Surroundings:
        """What the model writes, as far as the settings have use for it; neighbours also where others need them."""
        neighbours = neighbours or bool(self.neighbour_weight)
        if not self.locality_weight and not neighbours:
            return Surroundings()
        general = general_texts(model, tok, self.locality_samples, self.locality_length)
        if not neighbours:
            return Surroundings(general)
        lengths = {"count": self.neighbour_names, "length": self.neighbour_length}
        shared: dict[str, Any] = {**lengths, "edited": edited(requests)}
        return Surroundings(
            general,
            {fact: neighbour_texts(model, tok, request, general, **shared) for fact, request in enumerate(requests)},
        )

    def never_read(
        self, model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], surroundings: Surroundings
    ) -> list[Row]:
        """Texts of which protection leaves nothing to be read: of other names, and of the subjects' first words."""
        shared: dict[str, Any] = {"length": self.neighbour_length, "edited": edited(requests)}
        beginnings = [beginning_texts(model, tok, request, **shared) for request in requests]
        return [row for rows in (*surroundings.neighbours.values(), *beginnings) for row in rows]

    def build_locality(self, texts: Surroundings) -> list[Objective]:
        """The divergences from the unedited model that have a weight."""
        objectives: list[Objective] = []
        if self.locality_weight:
            general: dict[int | None, Sequence[Row]] = {None: texts.general}
            objectives.append(Locality(general, weight=self.locality_weight, rows_per_step=self.locality_rows))
        if self.neighbour_weight:
            objectives.append(
                Locality(texts.neighbours, weight=self.neighbour_weight, rows_per_step=self.neighbour_rows)
            )
        return objectives

    def pass_of_a_fact(self, tokens: int) -> Pass:
        """Neighbours that a step looks at for each fact of so many tokens."""
        if not self.neighbour_weight:
            return Pass(0, 0, 0)
        taught = self.neighbour_rows * self.neighbour_length
        return Pass(self.neighbour_rows * (tokens - TARGET) + taught, 0, taught)

    @property
    def general_pass(self) -> Pass:
        """General texts that a step looks at, in a pass of their own."""
        read = self.locality_rows * self.locality_length if self.locality_weight else 0
        return Pass(read, 0, read)

    def remembered_tokens(self, facts: int, steps: int) -> int:
        """Predicted tokens whose distribution before the edit is kept: of all texts, or of as many as the steps come
        to."""
        general = min(self.locality_samples, self.locality_rows * steps) * self.locality_length
        neighbours = facts * min(self.neighbour_names, self.neighbour_rows * steps) * self.neighbour_length
        return general * bool(self.locality_weight) + neighbours * bool(self.neighbour_weight)

    def neighbour_tokens(self, facts: int, tokens: int) -> int:
        """Tokens of all neighbours of so many facts."""
        return facts * self.neighbour_names * (tokens - TARGET + self.neighbour_length)


def edited(requests: Sequence[EditRequest]) -> set[str]:
    """Names of which something changes."""
    return {request.subject for request in requests if request.subject is not None}


def general_texts(model: nn.Module, tok: Tokenizer, count: int, length: int) -> list[Row]:
    """Texts the model writes when nothing is asked of it, all of each predicted but its beginning."""
    start = (beginning(model, tok),)
    texts = sample(model, tok, [start] * count, length=length)
    return [Row(start + text, len(text)) for text in texts if text]


def neighbour_texts(
    model: nn.Module,
    tok: Tokenizer,
    request: EditRequest,
    general: Sequence[Row],
    *,
    count: int,
    length: int,
    edited: Collection[str] = (),
) -> list[Row]:
    """What the model writes after the fact's prompt with the subject replaced by names from its general texts.

    Of all these names the model is surest about those that the prompt makes sense for, and knows answers an edit
    could spoil; only the surest are kept.

    Args:
        model: as before the edit.
        tok: its tokenizer.
        request: the fact; without a subject there is nothing to replace.
        general: texts of :func:`general_texts`, in which names are found by their capital letters.
        count: most names to keep.
        length: most tokens written after each prompt.
        edited: names that may change, such as the subjects of other facts.
    """
    if request.subject is None or not mentions(request.prompt, request.subject):
        return []
    texts = (tok.decode(row.ids, skip_special_tokens=True) for row in general)
    others = (name for name in names_in(texts) if name not in {request.subject, *edited})
    return _surest(model, _asked_of(model, tok, request, others, length), count)


def names_in(texts: Iterable[str]) -> list[str]:
    """What is written with capital letters, in its order, each once."""
    return list(dict.fromkeys(name for text in texts for name in _NAME.findall(text)))


def beginning_texts(
    model: nn.Module, tok: Tokenizer, request: EditRequest, *, length: int, edited: Collection[str] = ()
) -> list[Row]:
    """What the model writes after the fact's prompt with only the subject's first words, all but the last at most.

    What is read before a subject's last word is read of every other subject that begins so.

    Args:
        model: as before the edit.
        tok: its tokenizer.
        request: the fact; without a subject there is nothing to shorten.
        length: most tokens written after each prompt.
        edited: names that may change, such as the subjects of other facts.
    """
    if request.subject is None or not mentions(request.prompt, request.subject):
        return []
    words = request.subject.split()
    beginnings = (" ".join(words[:count]) for count in range(1, len(words)))
    return _asked_of(model, tok, request, (name for name in beginnings if name not in edited), length)


def _asked_of(model: nn.Module, tok: Tokenizer, request: EditRequest, names: Iterable[str], length: int) -> list[Row]:
    """What the model writes after the fact's prompt with each of these names in place of the subject."""
    prefixes = [
        prefix_ids(tok, request.asking.text(renamed(request.prompt, request.its_subject, name))) for name in names
    ]
    texts = sample(model, tok, prefixes, length=length) if prefixes else []
    return [Row((*prefix, *text), len(text)) for prefix, text in zip(prefixes, texts, strict=True) if text]


@torch.no_grad()
def _surest(model: nn.Module, rows: Sequence[Row], count: int) -> list[Row]:
    """The rows that the model gives the highest likelihood per token."""
    if len(rows) <= count:
        return list(rows)
    surprise = torch.cat([predict(model, together).nll() for together in batches(rows, ROWS)])
    return [rows[index] for index in surprise.argsort()[:count].tolist()]
