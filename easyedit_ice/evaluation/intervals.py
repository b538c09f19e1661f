"""Means over facts with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from easyedit_ice.evaluation.scores import MODES, FactScore
from easyedit_ice.runtime.extras import require

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval over facts.

    Attributes:
        mean: over the facts that have the measure.
        low: lower end.
        high: upper end.
        facts: how many facts have it.
    """

    mean: float
    low: float
    high: float
    facts: int

    def __str__(self) -> str:
        return f"{100 * self.mean:5.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def summarize(scores: Sequence[FactScore], seed: int = 0) -> dict[str, dict[str, Interval]]:
    """Intervals by mode (``teacher_forced``, ``generated``, ``leading``, ``probability``) and measure.

    A section of several kinds, such as portability, also gets its mean over each fact's kinds.
    """
    return {mode: _by_measure([getattr(score, mode) for score in scores], seed) for mode in MODES}


def interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Mean of the values with its percentile bootstrap interval."""
    array = np.asarray(values, dtype=float)
    resampled = np.random.default_rng(seed).choice(array, size=(RESAMPLES, len(array))).mean(axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(float(array.mean()), float(low), float(high), len(array))


def share_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Mean of facts' scores: of those that are right or wrong with Wilson's interval, else with that of bootstrap.

    Facts that are all right leave doubt: of 10 the interval is 72 to 100 %, where resampling them says 100 to 100.
    """
    if any(value not in (0, 1) for value in values):
        return interval(values, seed)
    require("bench", "Wilson's interval")
    from scipy.stats import binomtest

    right, facts = int(sum(values)), len(values)
    ends = binomtest(right, facts).proportion_ci(method="wilson")
    return Interval(right / facts, float(ends.low), float(ends.high), facts)


def _by_measure(facts: Sequence[dict[str, float]], seed: int) -> dict[str, Interval]:
    columns: dict[str, list[float]] = {}
    for fact in facts:
        for measure, value in with_sections(fact).items():
            columns.setdefault(measure, []).append(value)
    return {measure: share_interval(values, seed) for measure, values in columns.items()}


def with_sections(fact: dict[str, float]) -> dict[str, float]:
    """A fact's measures, each section's mean before its kinds."""
    sections: dict[str, list[float]] = {}
    for measure, value in fact.items():
        sections.setdefault(measure.partition(".")[0], []).append(value)
    return {section: sum(values) / len(values) for section, values in sections.items()} | fact
