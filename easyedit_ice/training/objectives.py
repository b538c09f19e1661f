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
from typing import Any, Generic, TypeVar

from torch import nn

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.requests import EditRequest
from easyedit_ice.subjects import mentions
from easyedit_ice.text.rows import Row, encode, given
from easyedit_ice.text.sampling import sample
from easyedit_ice.tokens import ends_of_text, tokens

T = TypeVar("T")


@dataclass(frozen=True)
class Term:
    """One summand of the loss.

    Attributes:
        objective: name of the objective it belongs to.
        row: what the student reads and predicts.
        weight: factor in the loss of its fact, or of the whole batch if it belongs to no fact.
        fact: index of its fact; ``None`` for what concerns all facts.
        teacher: what the teacher reads to predict the same tokens, whose distribution the student shall match;
            ``None`` to match the tokens themselves.
        static: whether the teacher is the model before the edit, rather than as it is.
    """

    objective: str
    row: Row
    weight: float
    fact: int | None
    teacher: Row | None = None
    static: bool = True


class Objective(ABC):
    """A part of the loss."""

    name: str

    @abstractmethod
    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """The summands of some facts at the given step (an epoch over all facts)."""

    def shared_terms(self) -> list[Term]:
        """The summands of a step that belong to no fact."""
        return []


def fact_row(tok: Any, request: EditRequest, append_eos: bool, context: str = "") -> Row:
    """``[context, prompt, target]`` with the target, and optionally what ends an answer, predicted.

    Nothing ends an answer where neither the tokenizer nor a chat template has a token for it.
    """
    row = encode(tok, request.asked(context), request.completion)
    end = tok.eos_token_id if request.asking.end is None else request.asking.end
    return Row((*row.ids, end), row.span + 1) if append_eos and end is not None else row


def fact_rows(
    tok: Any, request: EditRequest, append_eos: bool, contexts: Sequence[str], longest: int | None
) -> list[tuple[str, Row]]:
    """The contexts that leave room for the fact, each with the fact's row behind it.

    Args:
        tok: the tokenizer.
        request: the fact.
        append_eos: as for :func:`fact_row`.
        contexts: texts before the prompt; an empty one always leaves room.
        longest: tokens that the model's context holds, ``None`` if unlimited. The last token of a row is not read.
    """
    rows = [(context, fact_row(tok, request, append_eos, context)) for context in contexts]
    return [(context, row) for context, row in rows if not context or longest is None or len(row.ids) - 1 <= longest]


class FineTuning(Objective):
    """Mean negative log-likelihood of the target after the prompt: CE(x* | q).

    Args:
        tok: the tokenizer.
        requests: the facts.
        append_eos: let the end of text follow the target, so that generation stops there.
        prefixes: texts that each fact is stated behind as well; the loss is the mean over all statements.
        longest: tokens that the model's context holds; a prefix that leaves no room for a fact is left out.
        weight: factor of this objective; 0 to look only whether a fact is learned.
    """

    name = "target"

    def __init__(
        self,
        tok: Any,
        requests: Sequence[EditRequest],
        *,
        append_eos: bool,
        prefixes: Sequence[str] = (),
        longest: int | None = None,
        weight: float = 1.0,
    ) -> None:
        self._rows = [
            [row for _, row in fact_rows(tok, request, append_eos, ("", *prefixes), longest)] for request in requests
        ]
        self._weight = weight

    @property
    def rows(self) -> list[Row]:
        """All rows of all facts."""
        return [row for own in self._rows for row in own]

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """One row for each statement of each fact."""
        return [
            Term(self.name, row, self._weight / len(self._rows[fact]), fact)
            for fact in facts
            for row in self._rows[fact]
        ]


class TargetInContext(Objective):
    """CE(x* | c, q), which the released code of ICE adds to its loss; the gradient flows through the context.

    Args:
        tok: the tokenizer.
        requests: the facts.
        contexts: statements for each fact.
        append_eos: as for :class:`FineTuning`.
        weight: factor of this objective.
        longest: as for :class:`FineTuning`.
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
        longest: int | None = None,
    ) -> None:
        self._rows = [
            [row for _, row in fact_rows(tok, request, append_eos, own, longest)]
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
        taught: what the teacher reads: a context, and what the student reads.
        said: what the student reads.
        after: the text counts only from behind the first mention of this; empty to count all of it.
    """

    taught: str
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
        rows_per_step: how many of them a step uses for each fact, in turn.
        disabled: context manager under which the model is as before the edit.
        static: whether the model before the edit writes and teaches, rather than as it is at each step ("dynamic").
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
        rows_per_step: int,
        disabled: Callable[[], AbstractContextManager[None]],
        static: bool,
        resample_every: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
    ) -> None:
        self.name = name
        self._model, self._tok = model, tok
        self._openings = openings
        self._weight, self._samples, self._rows_per_step = weight, samples, rows_per_step
        self._drawing = {"length": length, "temperature": temperature, "top_k": top_k}
        self._static, self._teacher = static, disabled if static else nullcontext
        self._resample_every = resample_every
        self._drawn: dict[int, tuple[int, Turns[tuple[Row, Row]]]] = {}

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """Each fact's next few texts."""
        self._draw([fact for fact in facts if self._stale(fact, step)], step)
        return [
            Term(self.name, student, self._weight / len(batch), fact, teacher, self._static)
            for fact in facts
            for batch in [self._drawn[fact][1].next()]
            for teacher, student in batch
        ]

    def _stale(self, fact: int, step: int) -> bool:
        if fact not in self._drawn:
            return True
        return bool(self._resample_every) and step - self._drawn[fact][0] >= self._resample_every

    def _draw(self, facts: Sequence[int], step: int) -> None:
        """Let the teacher write new texts for some facts."""
        if not facts:
            return
        chosen = [
            (fact, self._openings[fact][(index + step) % len(self._openings[fact])])
            for fact in facts
            for index in range(self._samples)
        ]
        prefixes = [given(self._tok, opening.taught) for _, opening in chosen]
        with self._teacher():
            written = sample(self._model, self._tok, prefixes, **self._drawing)
        ends, longest = ends_of_text(self._model, self._tok), ModelAnatomy(self._model).context_length
        found: dict[int, list[tuple[Row, Row]]] = {fact: [] for fact in facts}
        for (fact, opening), ids in zip(chosen, written, strict=True):
            pair = _pair(self._tok, opening, ids, ends, longest)
            if pair is not None:
                found[fact].append(pair)
        self._drawn |= {fact: (step, Turns(pairs, self._rows_per_step)) for fact, pairs in found.items()}


class Locality(Objective):
    """KL(p_0(x) ‖ p(x)) to the model before the edit, on text that is out of scope.

    Args:
        rows: the texts, by fact, or under ``None`` what concerns all facts.
        weight: factor of this objective.
        rows_per_step: how many texts of each a step uses, in turn.
    """

    name = "locality"

    def __init__(self, rows: Mapping[int | None, Sequence[Row]], *, weight: float, rows_per_step: int) -> None:
        self._turns = {owner: Turns(own, rows_per_step) for owner, own in rows.items() if own}
        self._weight = weight

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """The next few texts of each fact."""
        return [term for fact in facts for term in self._next(fact)]

    def shared_terms(self) -> list[Term]:
        """The next few texts that concern all facts."""
        return self._next(None)

    def _next(self, owner: int | None) -> list[Term]:
        batch = self._turns[owner].next() if owner in self._turns else []
        return [Term(self.name, row, self._weight / len(batch), owner, row) for row in batch]


class Turns(Generic[T]):
    """Items, a few at a time, from the first again after the last."""

    def __init__(self, items: Sequence[T], count: int) -> None:
        self._items, self._count, self._next = items, min(count, len(items)), 0

    def next(self) -> list[T]:
        """The next few."""
        chosen = [self._items[(self._next + offset) % len(self._items)] for offset in range(self._count)]
        self._next += self._count
        return chosen


def _pair(
    tok: Any, opening: Opening, text: Sequence[int], ends: Sequence[int], longest: int | None
) -> tuple[Row, Row] | None:
    """The teacher's row and the student's, predicting what the two have in common of the text.

    A tokenizer may cut the first tokens of the text differently where no context precedes them; those are given. It may
    make more tokens of the whole than were drawn; what the model's context has no room for is left off.
    """
    end = tuple(text[-1:]) if text[-1:] and text[-1] in ends else ()
    written = tok.decode(text[: len(text) - len(end)])
    if not opening.said or opening.taught[-1:].isspace():
        written = written.lstrip()
    teacher = (*tokens(tok, opening.taught + written), *end)
    student = (*tokens(tok, opening.said + written), *end)
    counted = _counted(tok, opening, written, len(student), len(text))
    span = min(_common_ending(teacher, student), counted, len(student) - 1)
    beyond = 0 if longest is None else max(len(teacher) - 1 - longest, 0)
    if span <= beyond:
        return None
    return tuple(Row(ids[: len(ids) - beyond], span - beyond) for ids in (teacher, student))


def _counted(tok: Any, opening: Opening, written: str, total: int, drawn: int) -> int:
    """How many of the student's last tokens count."""
    if not opening.after:
        return drawn
    found = mentions(written, opening.after)
    return total - len(tokens(tok, opening.said + written[: found[0][1]])) if found else 0


def _common_ending(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
