"""How far a judge and exact match agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """Two ways to judge the same answers.

    Attributes:
        cases: how many answers.
        share: of them on which both agree.
        kappa: Cohen's, by which 0 is chance and 1 is full agreement; none where each says one thing of all of them.
        only_judge: how many only the judge calls right.
        only_exact: how many only exact match calls right.
    """

    cases: int
    share: float
    kappa: float | None
    only_judge: int
    only_exact: int


def agreement(pairs: Sequence[tuple[bool, bool]]) -> Agreement:
    """Agreement of a judge and exact match, as pairs in this order; there is one at least."""
    count = len(pairs)
    judged, exact = (sum(verdicts) / count for verdicts in zip(*pairs, strict=True))
    share = sum(one == other for one, other in pairs) / count
    chance = judged * exact + (1 - judged) * (1 - exact)
    return Agreement(
        cases=count,
        share=share,
        kappa=(share - chance) / (1 - chance) if chance < 1 else None,
        only_judge=sum(one and not other for one, other in pairs),
        only_exact=sum(other and not one for one, other in pairs),
    )
