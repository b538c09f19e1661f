"""Scores of one fact: every question, teacher-forced and generated."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from easyedit_ice.evaluation.observe import Observation
from easyedit_ice.evaluation.questions import Question

MODES = ("teacher_forced", "generated")


@dataclass(frozen=True)
class FactScore:
    """Means over a fact's questions, by measure; all from 0 to 1.

    Attributes:
        teacher_forced: token accuracy, or for locality the share of likeliest tokens that stayed.
        generated: exact match with an alias after free writing, or for locality the share of answers that stayed.
    """

    teacher_forced: dict[str, float]
    generated: dict[str, float]


def edit_scores(
    questions: Sequence[Question], before: Sequence[Observation], after: Sequence[Observation]
) -> FactScore:
    """Score a fact by what the model answered before and after its edit."""
    forced: dict[str, list[float]] = defaultdict(list)
    generated: dict[str, list[float]] = defaultdict(list)
    for question, old, new in zip(questions, before, after, strict=True):
        forced[question.measure].append(new.agrees_with(old) if question.keeps else new.token_accuracy)
        wanted = (old.generated,) if question.keeps else question.aliases
        generated[question.measure].append(float(normalized(new.generated) in map(normalized, wanted)))
    return FactScore(_means(forced), _means(generated))


def normalized(text: str) -> str:
    """Text for comparison: compatibility form, lower case, single spaces, no final full stop."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(".").strip()


def _means(values: dict[str, list[float]]) -> dict[str, float]:
    return {measure: sum(own) / len(own) for measure, own in values.items()}
