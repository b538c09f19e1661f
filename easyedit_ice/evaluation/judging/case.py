"""What a judge is given, and what a judge is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

TEMPLATE = (
    "Question or beginning of a sentence: {question}\n"
    "Correct answer: {gold}\n"
    "Given answer: {answer}\n"
    "Does the given answer say the same as the correct answer? Reply with Yes or No."
)
"""What every judge is asked."""


@dataclass(frozen=True)
class Case:
    """An answer to judge.

    Attributes:
        question: what was asked, or the text that was continued.
        answer: what a model wrote.
        gold: the right answer; of several names the first.
    """

    question: str
    answer: str
    gold: str


class Judge(Protocol):
    """Says of answers whether they are right."""

    def verdicts(self, cases: Sequence[Case]) -> list[bool]:
        """Whether each answer is right.

        Raises:
            JudgeError: there is no verdict.
        """
        ...

    def entry(self) -> dict[str, Any]:
        """What a manifest says of the judge: all that its verdicts depend on, and no secret."""
        ...


def text_for(case: Case) -> str:
    """The template with a case in it; line breaks in its texts become spaces."""
    parts = {"question": case.question, "gold": case.gold, "answer": case.answer or "(nothing)"}
    return TEMPLATE.format(**{name: " ".join(text.split()) for name, text in parts.items()})
