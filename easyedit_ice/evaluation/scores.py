"""Scores of one fact: every question, teacher-forced, generated, and by probability."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from typing_extensions import Self

from easyedit_ice.evaluation.leading_answer import leads_with, same_answer
from easyedit_ice.evaluation.observation import Observation
from easyedit_ice.evaluation.questions import Question

MODES = ("teacher_forced", "generated", "leading", "probability")


@dataclass(frozen=True)
class FactScore:
    """Means over a fact's questions, by measure; all from 0 to 1.

    Attributes:
        teacher_forced: token accuracy, or for locality the share of likeliest tokens that stayed.
        generated: exact match with an alias after free writing until the model stops by itself, or for locality the
            share of answers that stayed.
        leading: the same of the leading answer, which may go on after the alias.
        probability: share of questions whose answer is likelier than the one it competes with: ROME's efficacy,
            paraphrase and neighbourhood success (arXiv 2202.05262, section 3.4).
    """

    teacher_forced: dict[str, float]
    generated: dict[str, float] = field(default_factory=dict)
    leading: dict[str, float] = field(default_factory=dict)
    probability: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, scores: dict[str, dict[str, float]]) -> Self:
        """The inverse of :meth:`to_dict`."""
        return cls(**scores)

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Modes with their measures; a mode in which nothing was measured is left out."""
        return {mode: measures for mode, measures in asdict(self).items() if measures}

    def without_comparison(self) -> Self:
        """The scores that do not compare with what was answered before."""

        def without_locality(measures: dict[str, float]) -> dict[str, float]:
            return {measure: value for measure, value in measures.items() if not measure.startswith("locality.")}

        return type(self)(
            without_locality(self.teacher_forced),
            without_locality(self.generated),
            without_locality(self.leading),
            self.probability,
        )


def edit_scores(
    questions: Sequence[Question], before: Sequence[Observation], after: Sequence[Observation]
) -> FactScore:
    """Score a fact by what the model answered before and after its edit."""
    by_mode: dict[str, dict[str, list[float]]] = {mode: defaultdict(list) for mode in MODES}
    for question, old, new in zip(questions, before, after, strict=True):
        agreement = new.agrees_with(old) if question.keeps else new.token_accuracy
        if agreement is not None:
            by_mode["teacher_forced"][question.measure].append(agreement)
        if new.generated is not None:
            by_mode["generated"][question.measure].append(float(is_right(question, old, new)))
        if new.leading is not None:
            by_mode["leading"][question.measure].append(float(leads_right(question, old, new)))
        if new.log_prob is not None and new.other_log_prob is not None:
            by_mode["probability"][question.measure].append(float(new.log_prob > new.other_log_prob))
    return FactScore(**{mode: _means(values) for mode, values in by_mode.items()})


def is_right(question: Question, before: Observation, after: Observation) -> bool:
    """Whether what was written freely is the answer, under one of its names, or for locality the one from before."""
    wanted = (_written(before.generated),) if question.keeps else question.aliases
    return normalized(_written(after.generated)) in map(normalized, wanted)


def leads_right(question: Question, before: Observation, after: Observation) -> bool:
    """Whether the leading answer is or begins with the answer, or for locality is the one from before."""
    if question.keeps:
        return same_answer(_written(before.leading), _written(after.leading))
    return leads_with(_written(after.leading), question.aliases)


def _written(text: str | None) -> str:
    """A text that was generated: none at all is no empty answer, and scores nothing."""
    if text is None:
        raise ValueError("the question was asked without generating an answer; observe it with generate=True")
    return text


def normalized(text: str) -> str:
    """Text for comparison: compatibility form, lower case, single spaces, no final full stop."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(".").strip()


def _means(values: dict[str, list[float]]) -> dict[str, Any]:
    return {measure: sum(shares) / len(shares) for measure, shares in values.items()}
