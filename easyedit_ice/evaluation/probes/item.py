"""What a probe asks: texts with several answers, of which the likeliest is the model's choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easyedit_ice.evaluation.probes.claim import Claim


@dataclass(frozen=True)
class Item:
    """One text with the answers that compete to follow it.

    Attributes:
        prompt: the text; what a method puts before a question comes before it.
        options: the answers, in the order in which they are listed, where they are.
        right: place of the right one.
        conversation: whether the text is the user's second turn of a conversation, rather than put to the model as the
            run puts everything.
    """

    prompt: str
    options: tuple[str, ...]
    right: int
    conversation: bool = False

    def __post_init__(self) -> None:
        if len(set(self.options)) != len(self.options) or not 0 <= self.right < len(self.options):
            raise ValueError(f"options {self.options} must differ, and {self.right} be the place of one of them")


LogProbs = Sequence[Sequence[float]]
"""For each item of a probe, the mean log-probability of each option's tokens."""


def all_right(items: Sequence[Item], log_probs: LogProbs) -> bool:
    """Whether the right option of each item is likelier than each other one."""
    return all(
        values[item.right] > max(value for place, value in enumerate(values) if place != item.right)
        for item, values in zip(items, log_probs, strict=True)
    )


@dataclass(frozen=True)
class Probe:
    """A kind of question about a fact.

    Attributes:
        name: of the measure.
        asks: what is asked, for a report's reader.
        right: what a right answer is.
        chance: share of right answers by guessing.
        make: the items for a claim; none where one cannot be made, such as without any old answer.
        judge: whether the answers are right, from the items and the log-probabilities of their options.
    """

    name: str
    asks: str
    right: str
    chance: float
    make: Callable[[Claim], tuple[Item, ...]]
    judge: Callable[[Sequence[Item], LogProbs], bool] = all_right
