"""What bootstrap and permutation say of scores: of one method's Score, and of the difference of two methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.stats import permutation_test

from easyedit_ice.bench.report.reading_runs import FactKey
from easyedit_ice.evaluation import Interval
from easyedit_ice.evaluation.intervals import RESAMPLES, interval, share_interval

Facts = Mapping[FactKey, float]
"""One measure's values, by fact."""

PERMUTATIONS = 4999
AT_A_TIME = 1000
LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """How much higher one method scores than another, on the facts that both have.

    Attributes:
        one: the method that is subtracted from.
        other: the method that is subtracted.
        interval: the mean difference with its 95 % interval; see :func:`paired_interval`.
        p_value: of a two-sided sign-flip permutation test of the mean difference.
        adjusted: the same, after Holm's adjustment over all pairs of methods.
    """

    one: str
    other: str
    interval: Interval
    p_value: float
    adjusted: float

    @property
    def verdict(self) -> str:
        """The difference in words: a tie wherever the interval holds 0."""
        if self.interval.low <= 0 <= self.interval.high:
            return "tie"
        better = self.one if self.interval.mean > 0 else self.other
        return f"{better} higher" if self.adjusted < LEVEL else f"{better} higher, but not after adjustment"


def differences(methods: Mapping[str, Facts], seed: int = 0) -> list[Difference]:
    """Every pair of methods, compared in one measure on the facts both have; pairs without such facts are left out.

    Args:
        methods: values by method and fact.
        seed: of resamples and sign flips.
    """
    tests = []
    for (one, first), (other, second) in combinations(methods.items(), 2):
        paired = [(value, second[fact]) for fact, value in first.items() if fact in second]
        if paired:
            p_value = sign_flip([value - against for value, against in paired], seed)
            tests.append(Difference(one, other, paired_interval(paired, seed), p_value, p_value))
    adjusted = holm([difference.p_value for difference in tests])
    return [replace(difference, adjusted=value) for difference, value in zip(tests, adjusted, strict=True)]


def paired_interval(pairs: Sequence[tuple[float, float]], seed: int = 0) -> Interval:
    """The mean difference of paired scores with its 95 % interval.

    Where all are right or wrong it is Newcombe's, from the Wilson intervals of both shares and their correlation
    (Statistics in Medicine 17, 1998, method 10), which has a width also where both are always right; else that of a
    percentile bootstrap over the pairs.
    """
    first, second = np.asarray(pairs, dtype=float).T
    resampled = interval((first - second).tolist(), seed)
    if not np.isin([first, second], (0, 1)).all():
        return resampled
    one, other = share_interval(first.tolist()), share_interval(second.tolist())
    spread = first.std() * second.std()
    linked = float(np.mean((first - one.mean) * (second - other.mean)) / spread) if spread > 0 else 0.0

    def reach(up: float, down: float) -> float:
        return float(np.sqrt(max(0.0, up**2 - 2 * linked * up * down + down**2)))

    low = resampled.mean - reach(one.mean - one.low, other.high - other.mean)
    high = resampled.mean + reach(one.high - one.mean, other.mean - other.low)
    return Interval(resampled.mean, low, high, len(pairs))


def sign_flip(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p-value of a mean of paired differences, whose signs are as good as random if there is no effect."""
    if not any(differences) or len(differences) == 1:  # of one difference both signs are as extreme
        return 1.0
    return float(
        permutation_test(
            (np.asarray(differences),),
            np.mean,
            permutation_type="samples",
            n_resamples=PERMUTATIONS,
            batch=AT_A_TIME,
            rng=np.random.default_rng(seed),
        ).pvalue
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number by Holm's step-down method, in the order given."""
    adjusted, floor = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = floor
    return adjusted


def success_score(measures: Sequence[Facts], seed: int = 0) -> Interval:
    """Harmonic mean of the measures' means over facts (the Score of arXiv 2202.05262), with its bootstrap interval.

    Facts are resampled whole, so measures of one fact stay together; a fact may lack some of the measures. Where all
    resamples are alike, as if every fact were right, the ends are those of the measures' own intervals.
    """
    facts = list(dict.fromkeys(fact for measure in measures for fact in measure))
    values = np.array([[measure.get(fact, np.nan) for fact in facts] for measure in measures])
    drawn = np.random.default_rng(seed).integers(len(facts), size=(RESAMPLES, len(facts)))
    resampled = _harmonic(values[:, drawn])
    low, high = np.percentile(resampled[~np.isnan(resampled)], [2.5, 97.5])
    if low == high:
        intervals = [share_interval(list(measure.values())) for measure in measures]
        low, high = (_harmonic(np.array([[[end]] for end in ends]))[0] for ends in _ends(intervals))
    return Interval(float(_harmonic(values[:, None])[0]), float(low), float(high), len(facts))


def _ends(intervals: Sequence[Interval]) -> tuple[list[float], list[float]]:
    return [one.low for one in intervals], [one.high for one in intervals]


def _harmonic(values: np.ndarray) -> np.ndarray:
    """Harmonic mean over measures of their means over facts; NaN where no fact has a measure.

    Args:
        values: (measures, resamples, facts), NaN where a fact lacks a measure.
    """
    counts = (~np.isnan(values)).sum(axis=-1)
    sums = np.nansum(values, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((counts == 0).any(axis=0), np.nan, len(values) / (counts / sums).sum(axis=0))
