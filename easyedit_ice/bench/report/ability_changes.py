"""Abilities in a report: each task before and after a method's edits, compared sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from easyedit_ice.bench.report.comparison import Group
from easyedit_ice.bench.report.paired_tests import paired_interval
from easyedit_ice.bench.report.phrases import MISSING, number
from easyedit_ice.bench.report.reading_runs import Run
from easyedit_ice.bench.storage.line import ABILITIES, Line
from easyedit_ice.evaluation import Interval
from easyedit_ice.evaluation.abilities import Ability
from easyedit_ice.evaluation.abilities.ability import AGGREGATIONS
from easyedit_ice.evaluation.intervals import RESAMPLES

HEADER = ("task", "method", "before", "after", "difference", "samples")
NOTE = (
    "Scores of lm-eval's tasks on the unedited model and on the edited one, as it is in memory: after the last edit of "
    "a stream, else after the first edits, whose mean it is. Differences with 95 % intervals over the tasks' samples, "
    "which both models were given: Newcombe's where each is right or wrong, else a bootstrap of pairs. ↑ a higher "
    "score is better, ↓ a lower one. A method without a row edits no weights: its abilities are those before."
)


@dataclass(frozen=True)
class Change:
    """What edits did to one ability.

    Attributes:
        before: the unedited model's score.
        after: the edited model's; the mean of several states, where there are.
        difference: after minus before, with its interval; its ends are NaN where samples cannot be paired.
    """

    before: Ability
    after: float
    difference: Interval


def changes(before: Sequence[Ability], after: Sequence[Sequence[Ability]]) -> list[Change]:
    """What edits did to every ability that all states were scored in.

    Args:
        before: of the unedited model.
        after: of edited ones.
    """
    rows = []
    for ability in before:
        same = [other for state in after for other in state if other.name == ability.name]
        if after and len(same) == len(after):
            value = float(np.mean([other.value for other in same]))
            rows.append(Change(ability, value, _difference(ability, same)))
    return rows


def ability_rows(group: Group) -> list[tuple[str, ...]]:
    """Rows of :data:`HEADER`, task by task."""
    by_method = {run.label: changes(*states(run)) for run in group.runs}
    tasks = dict.fromkeys(change.before.name for group in by_method.values() for change in group)
    return [
        (f"{task} {'↑' if change.before.higher_is_better else '↓'}", label, *cells(change))
        for task in tasks
        for label, group in by_method.items()
        for change in group
        if change.before.name == task
    ]


def cells(change: Change) -> tuple[str, str, str, str]:
    """Before, after, difference with its interval, and the number of samples."""
    told = change.difference
    interval = MISSING if np.isnan(told.low) else f"[{_signed(told.low)}, {_signed(told.high)}]"
    return (
        number(change.before.value),
        number(change.after),
        f"{_signed(told.mean)} {interval}",
        str(len(change.before.samples)) if change.before.samples else MISSING,
    )


def ability_values(group: Group) -> Iterator[tuple[str, str, int, str, float, int]]:
    """Of every state of every run: its label, phase, step, ability, score, and number of samples."""
    for run in group.runs:
        for line in run.at(ABILITIES):
            phase = "before" if not line["step"] else run.final_phase
            for ability in _of(line):
                yield run.label, phase, line["step"], ability.name, ability.value, len(ability.samples)


def states(run: Run) -> tuple[list[Ability], list[list[Ability]]]:
    """Abilities before any edit, and those of the states that count: a stream's last, else after each edit."""
    lines = run.at(ABILITIES)
    before = next((_of(line) for line in lines if not line["step"]), [])
    edited = [line for line in lines if line["step"]]
    last = max((line["step"] for line in edited), default=0)
    counted = [line for line in edited if not run.is_sequential or line["step"] == last]
    return before, [_of(line) for line in counted]


def _of(line: Line) -> list[Ability]:
    return [Ability.from_dict(plain) for plain in line["abilities"]]


def _difference(before: Ability, after: Sequence[Ability]) -> Interval:
    """Paired over samples; of several states a sample's difference is the mean of theirs."""
    value = float(np.mean([one.value for one in after])) - before.value
    pairable = before.aggregation and all(len(one.samples) == len(before.samples) > 1 for one in after)
    if not pairable or before.aggregation is None:
        return Interval(value, np.nan, np.nan, 0)
    if before.aggregation == "mean":
        mean = np.mean([one.values() for one in after], axis=0)
        return paired_interval(list(zip(mean[:, 0].tolist(), before.values()[:, 0].tolist(), strict=True)))
    score, count = AGGREGATIONS[before.aggregation], len(before.samples)
    drawn = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    edited = np.mean([score(one.values()[drawn]) for one in after], axis=0)
    low, high = np.percentile(edited - score(before.values()[drawn]), [2.5, 97.5])
    return Interval(value, float(low), float(high), count)


def _signed(value: float) -> str:
    return f"{value:+.3f}" if abs(value) < 10 else f"{value:+.1f}"
