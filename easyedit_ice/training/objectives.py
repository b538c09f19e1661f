"""What an edit is trained towards.

An objective turns facts into :class:`Term` objects: rows with a weight, each matched either to its own tokens
(negative log-likelihood) or to a teacher's distribution over them (KL divergence). The loop sums whatever
objectives it is given; fine-tuning, in-context editing and locality are each one of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.requests import EditRequest
from easyedit_ice.training.rows import Row, encode, given, predict
from easyedit_ice.training.sampling import sample


@dataclass(frozen=True)
class Term:
    """One summand of the loss.

    Attributes:
        objective: name of the objective it belongs to.
        row: what the student reads and predicts.
        weight: factor in the loss of its fact, or of the whole batch if it belongs to no fact.
        fact: index of its fact; ``None`` for what concerns all facts.
        teacher: (span, vocabulary) log-probabilities to match; ``None`` to match the row's own tokens.
    """

    objective: str
    row: Row
    weight: float
    fact: int | None
    teacher: Tensor | None = None


class Objective(ABC):
    """A part of the loss."""

    name: str

    @abstractmethod
    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """The summands for a mini-batch of facts at the given step (an epoch over all facts)."""


def fact_row(tok: Any, request: EditRequest, append_eos: bool, context: str = "") -> Row:
    """``[context, prompt, target]`` with the target, and optionally the end of text, predicted."""
    row = encode(tok, context + request.prompt, request.completion)
    return Row((*row.ids, tok.eos_token_id), row.span + 1) if append_eos else row


class FineTuning(Objective):
    """Mean negative log-likelihood of the target after the prompt: CE(x* | q).

    Args:
        tok: the tokenizer.
        requests: the facts.
        append_eos: let the end of text follow the target, so that generation stops there.
    """

    name = "target"

    def __init__(self, tok: Any, requests: Sequence[EditRequest], *, append_eos: bool) -> None:
        self._rows = [fact_row(tok, request, append_eos) for request in requests]

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """One row for each fact."""
        return [Term(self.name, self._rows[fact], 1.0, fact) for fact in facts]


class TargetInContext(Objective):
    """CE(x* | c, q), which the released code of ICE adds to its loss; the gradient flows through the context.

    Args:
        tok: the tokenizer.
        requests: the facts.
        contexts: statements for each fact.
        append_eos: as for :class:`FineTuning`.
        weight: factor of this objective.
    """

    name = "target in context"

    def __init__(
        self,
        tok: Any,
        requests: Sequence[EditRequest],
        contexts: Sequence[Sequence[str]],
        *,
        append_eos: bool,
        weight: float,
    ) -> None:
        self._rows = [
            [fact_row(tok, request, append_eos, context) for context in own]
            for request, own in zip(requests, contexts, strict=True)
        ]
        self._weight = weight

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """One row for each context of each fact."""
        return [
            Term(self.name, row, self._weight / len(self._rows[fact]), fact)
            for fact in facts
            for row in self._rows[fact]
        ]


@dataclass(frozen=True)
class Opening:
    """How a text begins that the model then goes on with.

    Attributes:
        context: what only the teacher reads.
        said: what both read.
        after: the text counts only from behind the first mention of this; empty to count all of it.
    """

    context: str
    said: str
    after: str = ""


class InContext(Objective):
    """KL(p(x | c, ·) ‖ p(x | ·)): without the context, answer as with it (Qi et al. 2024, arXiv 2406.11194, eq. 6).

    The model itself is the teacher, given the context c; its distribution is detached. The text x is the model's
    own: what it writes after the opening in context.

    Args:
        name: of the objective.
        model: student and teacher.
        tok: its tokenizer.
        openings: for each fact how its texts begin.
        weight: factor of this objective.
        length: most tokens the model writes.
        samples: texts drawn for each fact at a time.
        teacher: a context manager under which the model is the teacher: a no-op for the current weights
            ("dynamic"), the adapter's ``disabled`` for those before the edit ("static").
        resample_every: steps between two drawings of x; 0 to draw once.
        temperature: of the drawing; the divergence is unaffected.
        top_k: of the drawing; 0 for the whole vocabulary.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        tok: Any,
        openings: Sequence[Sequence[Opening]],
        *,
        weight: float,
        length: int,
        samples: int,
        teacher: Callable[[], AbstractContextManager[None]] = nullcontext,
        resample_every: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
    ) -> None:
        self.name = name
        self._model, self._tok = model, tok
        self._openings = openings
        self._weight, self._samples = weight, samples
        self._drawing = {"length": length, "temperature": temperature, "top_k": top_k}
        self._teacher = teacher
        self._resample_every = resample_every
        self._drawn: dict[int, tuple[int, list[tuple[Row, Row]]]] = {}

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """Each fact's texts, with the teacher's distribution over them as it is now."""
        self._draw([fact for fact in facts if self._stale(fact, step)], step)
        pairs = [(fact, *pair) for fact in facts for pair in self._drawn[fact][1]]
        if not pairs:
            return []
        with torch.no_grad(), self._teacher():
            taught = predict(self._model, [teacher_row for _, teacher_row, _ in pairs])
        return [
            Term(self.name, row, self._weight / len(self._drawn[fact][1]), fact, distribution)
            for (fact, _, row), distribution in zip(pairs, taught.split(), strict=True)
        ]

    def _stale(self, fact: int, step: int) -> bool:
        if fact not in self._drawn:
            return True
        return bool(self._resample_every) and step - self._drawn[fact][0] >= self._resample_every

    def _draw(self, facts: Sequence[int], step: int) -> None:
        """Let the teacher write new texts for some facts: pairs of the teacher's row and the student's."""
        if not facts:
            return
        chosen = [
            (fact, self._openings[fact][(index + step) % len(self._openings[fact])])
            for fact in facts
            for index in range(self._samples)
        ]
        prefixes = [given(self._tok, (opening.context + opening.said).rstrip()) for _, opening in chosen]
        with self._teacher():
            texts = sample(self._model, self._tok, prefixes, **self._drawing)
        for fact in facts:
            self._drawn[fact] = (step, [])
        for (fact, opening), text in zip(chosen, texts, strict=True):
            pair = _pair(self._tok, opening, text)
            if pair is not None:
                self._drawn[fact][1].append(pair)


class Locality(Objective):
    """KL(p_0(x) ‖ p(x)) to the model before the edit, on text that is out of scope.

    Args:
        model: the student.
        rows: the texts, by fact, or under ``None`` what concerns all facts.
        weight: factor of this objective.
        before: context manager under which the model is as before the edit.
        rows_per_step: how many texts of each group a step uses, in turn.
    """

    name = "locality"

    def __init__(
        self,
        model: nn.Module,
        rows: Mapping[int | None, Sequence[Row]],
        *,
        weight: float,
        before: Callable[[], AbstractContextManager[None]],
        rows_per_step: int,
    ) -> None:
        self._groups = {group: _Turns(model, own, before, rows_per_step) for group, own in rows.items() if own}
        self._weight = weight

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """The next few texts of each group."""
        return [
            Term(self.name, row, self._weight / len(batch), group, distribution)
            for group in (None, *facts)
            if group in self._groups
            for batch in [self._groups[group].next()]
            for row, distribution in batch
        ]


class _Turns:
    """Texts with the distributions of the unedited model, a few at a time."""

    def __init__(
        self,
        model: nn.Module,
        rows: Sequence[Row],
        before: Callable[[], AbstractContextManager[None]],
        count: int,
    ) -> None:
        with torch.no_grad(), before():
            self._texts = [
                pair
                for start in range(0, len(rows), count)
                for pair in _distributions(model, rows[start : start + count])
            ]
        self._count, self._next = min(count, len(rows)), 0

    def next(self) -> list[tuple[Row, Tensor]]:
        """The next few, from the first again after the last."""
        chosen = [self._texts[(self._next + offset) % len(self._texts)] for offset in range(self._count)]
        self._next = (self._next + self._count) % len(self._texts)
        return chosen


def _distributions(model: nn.Module, rows: Sequence[Row]) -> list[tuple[Row, Tensor]]:
    return list(zip(rows, predict(model, rows).split(), strict=True))


def _pair(tok: Any, opening: Opening, text: Sequence[int]) -> tuple[Row, Row] | None:
    """The teacher's row and the student's, predicting what the two have in common of the text.

    A tokenizer may cut the first tokens of the text differently where no context precedes them; those are given.
    """
    ends = text[-1:] == (tok.eos_token_id,)
    written = tok.decode(text[:-1] if ends else text)
    if not opening.said:
        written = written.lstrip()
    end = (tok.eos_token_id,) if ends else ()
    teacher = (*given(tok, opening.context + opening.said + written), *end)
    student = (*given(tok, opening.said + written), *end)
    counted = _counted(tok, opening, written, len(student), len(text))
    span = min(_common_ending(teacher, student), counted, len(student) - 1)
    return (Row(teacher, span), Row(student, span)) if span > 0 else None


def _counted(tok: Any, opening: Opening, written: str, total: int, drawn: int) -> int:
    """How many of the student's last tokens count."""
    if not opening.after:
        return drawn
    before, mention, _ = written.partition(opening.after)
    return total - len(given(tok, opening.said + before + mention)) if mention else 0


def _common_ending(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
