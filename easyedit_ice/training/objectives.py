"""What an edit is trained towards.

An objective turns facts into :class:`Term` objects: rows with a weight, each matched either to its own tokens
(negative log-likelihood) or to a teacher's distribution over them (KL divergence). The loop sums whatever
objectives it is given; fine-tuning, in-context editing and locality are each one of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from easyedit_ice.requests import EditRequest
from easyedit_ice.training.rows import Row, encode, given, predict
from easyedit_ice.training.sampling import beginning, sample


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


class InContext(Objective):
    """KL(p(x | c, ·) ‖ p(x | ·)): without the context, answer as with it (Qi et al. 2024, arXiv 2406.11194, eq. 6).

    The model itself is the teacher, given the context c; its distribution is detached. The text x is the model's
    own: what it writes after ``[c, q, x*]`` (the paper's continuation), or, in ``free`` form, what it writes about
    the subject after ``[c, subject]``, so that consequences of the fact are taught and not only its sentence.

    Args:
        model: student and teacher.
        tok: its tokenizer.
        requests: the facts.
        contexts: statements for each fact.
        weight: factor of this objective.
        length: most tokens of x.
        samples: texts drawn for each fact at a time.
        free: which text x is, as above.
        teacher: a context manager under which the model is the teacher: a no-op for the current weights
            ("dynamic"), the adapter's ``disabled`` for those before the edit ("static").
        resample_every: steps between two drawings of x; 0 to draw once.
        temperature: of the drawing; the divergence is unaffected.
        top_k: of the drawing; 0 for the whole vocabulary.
    """

    continuation: ClassVar[str] = "context"
    free_text: ClassVar[str] = "consequences"

    def __init__(
        self,
        model: nn.Module,
        tok: Any,
        requests: Sequence[EditRequest],
        contexts: Sequence[Sequence[str]],
        *,
        weight: float,
        length: int,
        samples: int,
        free: bool,
        teacher: Callable[[], AbstractContextManager[None]] = nullcontext,
        resample_every: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
    ) -> None:
        self.name = self.free_text if free else self.continuation
        self._model, self._tok = model, tok
        self._openings = [
            [_opening(tok, request, context, free) for context in own]
            for request, own in zip(requests, contexts, strict=True)
        ]
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
        """Draw new texts for some facts: pairs of the teacher's row and the student's."""
        if not facts:
            return
        chosen = [
            (fact, self._openings[fact][(index + step) % len(self._openings[fact])])
            for fact in facts
            for index in range(self._samples)
        ]
        with self._teacher():
            texts = sample(self._model, self._tok, [teacher for _, (teacher, _) in chosen], **self._drawing)
        for fact in facts:
            self._drawn[fact] = (step, [])
        for (fact, (teacher, student)), text in zip(chosen, texts, strict=True):
            if text:
                row = Row((*teacher, *text), len(text))
                self._drawn[fact][1].append((row, row.behind(student)))


class Locality(Objective):
    """KL(p_0(x) ‖ p(x)) to the model before the edit, on text that is out of scope.

    Args:
        model: the student.
        texts: token ids of general text, at least two tokens each.
        weight: factor of this objective.
        before: context manager under which the model is as before the edit.
        rows_per_step: how many texts each step uses.
    """

    name = "locality"

    def __init__(
        self,
        model: nn.Module,
        texts: Sequence[Sequence[int]],
        *,
        weight: float,
        before: Callable[[], AbstractContextManager[None]],
        rows_per_step: int,
    ) -> None:
        self._rows = [Row(tuple(text), len(text) - 1) for text in texts]
        with torch.no_grad(), before():
            self._before = [
                distribution
                for start in range(0, len(self._rows), rows_per_step)
                for distribution in predict(model, self._rows[start : start + rows_per_step]).split()
            ]
        self._weight, self._rows_per_step = weight, rows_per_step
        self._next = 0

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """The next few texts, in turn."""
        count = min(self._rows_per_step, len(self._rows))
        indices = [(self._next + offset) % len(self._rows) for offset in range(count)]
        self._next = (self._next + count) % len(self._rows)
        return [Term(self.name, self._rows[i], self._weight / count, None, self._before[i]) for i in indices]


def general_texts(model: nn.Module, tok: Any, count: int, length: int) -> list[tuple[int, ...]]:
    """Texts the model writes when nothing is asked of it."""
    start = (beginning(tok),)
    texts = [start + text for text in sample(model, tok, [start] * count, length=length)]
    return [text for text in texts if len(text) > 2] or texts


def _opening(
    tok: Any, request: EditRequest, context: str, free: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What teacher and student are given before the text x."""
    said = (request.subject or request.prompt) if free else request.prompt + request.completion
    return given(tok, context + said), given(tok, said)

