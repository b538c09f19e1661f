"""What an edit is trained towards.

An objective turns facts into :class:`Term` objects: rows with a weight, each matched either to its own tokens
(negative log-likelihood) or to a teacher's distribution over them (KL divergence). The loop sums whatever
objectives it is given; fine-tuning, in-context editing and locality are each one of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from torch import nn

from easyedit_ice.edit.hparams import Section, setting
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.model.activation_memory import Pass
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import Asking
from easyedit_ice.text.endings import ends_answers
from easyedit_ice.text.prefixes import context_prefixes
from easyedit_ice.text.rows import Row, encode
from easyedit_ice.text.tokens import has_row

if TYPE_CHECKING:
    from easyedit_ice.editors.gradient.adapters import Adapter

T = TypeVar("T")

TARGET = 4
"""Tokens of a fact's statement that are taken to be predicted where memory is estimated, its end of text included."""


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
    """A part of the loss.

    Attributes:
        name: of it, in the course of a training.
        stop: a fact rests while its mean loss is below this, in nats per token; ``None`` if this one does not matter.
    """

    name: str
    stop: float | None = None

    @abstractmethod
    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """The summands of some facts at the given step (an epoch over all facts)."""

    def shared_terms(self) -> list[Term]:
        """The summands of a step that belong to no fact."""
        return []


def fact_row(tok: Tokenizer, request: EditRequest, append_eos: bool, context: str = "") -> Row:
    """``[context, prompt, target]`` with the target, and optionally what ends an answer, predicted.

    Nothing ends an answer where neither the tokenizer nor a chat template has a token for it.
    """
    row = encode(tok, request.asked(context), request.completion)
    end = tok.eos_token_id if request.asking.end is None else request.asking.end
    return Row((*row.ids, end), row.span + 1) if append_eos and end is not None else row


def fact_rows(
    tok: Tokenizer, request: EditRequest, append_eos: bool, contexts: Sequence[str], longest: int | None
) -> list[tuple[str, Row]]:
    """The contexts that leave room for the fact, each with the fact's row after it.

    Args:
        tok: the tokenizer.
        request: the fact.
        append_eos: as for :func:`fact_row`.
        contexts: texts before the prompt; an empty one always leaves room.
        longest: tokens that the model's context holds, ``None`` if unlimited. The last token of a row is not read.
    """
    rows = [(context, fact_row(tok, request, append_eos, context)) for context in contexts]
    return [(context, row) for context, row in rows if not context or longest is None or len(row.ids) - 1 <= longest]


class RowObjective(Objective):
    """Mean negative log-likelihood of some rows of each fact.

    Args:
        rows: of each fact.
        weight: factor of this objective.
    """

    def __init__(self, rows: Sequence[Sequence[Row]], weight: float) -> None:
        self._rows, self._weight = rows, weight

    @property
    def rows(self) -> list[Row]:
        """All rows of all facts."""
        return [row for group in self._rows for row in group]

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """One for each row of each fact."""
        return [
            Term(self.name, row, self._weight / len(self._rows[fact]), fact)
            for fact in facts
            for row in self._rows[fact]
        ]


class FineTuning(RowObjective):
    """CE(x* | q): the target after the prompt.

    Args:
        tok: the tokenizer.
        requests: the facts.
        append_eos: let the end of text follow the target, so that generation stops there.
        prefixes: texts that each fact is stated after as well; the loss is the mean over all statements.
        longest: tokens that the model's context holds; a prefix that leaves no room for a fact is left out.
        weight: factor of this objective; 0 to look only whether a fact is learned.
        stop: as for any objective.
    """

    name = "target"

    def __init__(
        self,
        tok: Tokenizer,
        requests: Sequence[EditRequest],
        *,
        append_eos: bool,
        prefixes: Sequence[str] = (),
        longest: int | None = None,
        weight: float = 1.0,
        stop: float | None = None,
    ) -> None:
        stated = [fact_rows(tok, request, append_eos, ("", *prefixes), longest) for request in requests]
        super().__init__([[row for _, row in rows] for rows in stated], weight)
        self.stop = stop


class Locality(Objective):
    """KL(p_0(x) ‖ p(x)) to the model before the edit, on text that is out of scope.

    Args:
        rows: the texts, by fact, or under ``None`` what concerns all facts.
        weight: factor of this objective.
        rows_per_step: how many texts of each a step uses, in turn.
    """

    name = "locality"

    def __init__(self, rows: Mapping[int | None, Sequence[Row]], *, weight: float, rows_per_step: int) -> None:
        self._turns = {owner: Turns(group, rows_per_step) for owner, group in rows.items() if group}
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


@dataclass(frozen=True)
class Edit:
    """What is edited, and how its facts are stated.

    Attributes:
        model: before the edit, in evaluation mode.
        tok: its tokenizer.
        requests: the facts.
        append_eos: whether the end of text follows the targets.
        prefixes: texts that each fact is stated after as well.
        seed: of what is drawn.
    """

    model: nn.Module
    tok: Tokenizer
    requests: Sequence[EditRequest]
    append_eos: bool
    prefixes: tuple[str, ...]
    seed: int

    @property
    def longest(self) -> int | None:
        """Tokens that the model's context holds."""
        return ModelAnatomy(self.model).context_length


@dataclass
class TargetSettings(Section):
    """How the facts are stated, and when they count as learned."""

    append_eos: bool | None = setting(
        None,
        "train the end of text after the target, or in a chat the end of the turn, so that generation stops there; "
        "nothing where the tokenizer has none; None where the model ends its own answers",
    )
    random_prefixes: int = setting(
        0, "texts of the model's own that each fact is stated after as well, for other wordings", low=0
    )
    prefix_length: int = setting(8, "their most tokens", low=1)
    stop_nll: float | None = setting(
        0.05,
        "a fact rests while its target's loss is below this, in nats per token; None for a fixed number of steps",
        above=0,
    )

    def fitted(self, model: nn.Module, tok: Tokenizer, asking: Asking) -> dict[str, Any]:
        """Settings that follow from the model where they are left out."""
        end = tok.eos_token_id if asking.end is None else asking.end
        if end is not None and not has_row(model, end):
            return {"append_eos": False}
        return {"append_eos": ends_answers(model, tok, asking) if self.append_eos is None else self.append_eos}

    def prefixes(self, model: nn.Module, tok: Tokenizer, seed: int) -> tuple[str, ...]:
        """Texts that the model writes, for facts to be stated after."""
        if not self.random_prefixes:
            return ()
        return context_prefixes(model, tok, ((self.prefix_length, self.random_prefixes),), seed)[1:]

    def build_target(self, edit: Edit, weight: float) -> FineTuning:
        """The loss of the targets."""
        return FineTuning(
            edit.tok,
            edit.requests,
            append_eos=edit.append_eos,
            prefixes=edit.prefixes,
            longest=edit.longest,
            weight=weight,
            stop=self.stop_nll,
        )

    def pass_of_a_fact(self, tokens: int) -> Pass:
        """What a step reads for each fact of so many tokens."""
        after = self.random_prefixes
        return Pass(tokens + after * (tokens + self.prefix_length), TARGET * (1 + after), 0)


@dataclass
class ObjectiveSettings(Section):
    """What is added to the loss of the targets; by itself nothing, which is fine-tuning.

    Beside each kind of objective there are its settings.
    """

    target_weight: ClassVar[float] = 1.0
    """Weight of the targets' own loss."""

    def fitted(self, model: nn.Module, tok: Tokenizer, asking: Asking) -> dict[str, Any]:
        """Settings that follow from the model where they are left out."""
        return {}

    def build_objectives(self, edit: Edit, adapter: Adapter) -> list[Objective]:
        """The objectives; the adapter is in the model, and off for a teacher that knows no edit."""
        return []

    def pass_of_a_fact(self, tokens: int) -> Pass:
        """What a step reads for each fact of so many tokens."""
        return Pass(0, 0, 0)

    def remembered_tokens(self, facts: int, steps: int) -> int:
        """Predicted tokens whose distribution before the edit is kept, in so many passes over the facts."""
        return 0

    def drawing(self, facts: int, tokens: int) -> tuple[int, int]:
        """How many texts the model writes side by side for so many facts, and how long they get, prompts included."""
        return 0, 0
