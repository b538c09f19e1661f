"""The numbers in long form, one to a row, to read with pandas or a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from easyedit_ice.bench.report.ability_changes import ability_values
from easyedit_ice.bench.report.afterlife import afterlife_values
from easyedit_ice.bench.report.analysis import AGAIN, Results
from easyedit_ice.bench.storage.line import ABILITIES, PROBED
from easyedit_ice.evaluation import Interval

SCORE_COLUMNS = ("run", "mode", "phase", "step", "style", "measure", "mean", "low", "high", "facts")
DIFFERENCE_COLUMNS = (
    "mode", "phase", "style", "measure", "one", "other", "mean", "low", "high", "p", "adjusted_p", "facts", "verdict",
)  # fmt: skip


def scores_csv(results: Sequence[Results]) -> str:
    """Means with intervals: scores from 0 to 1, figures (style ``figure``) in their own units.

    ``step`` is how many facts had been written, and is empty where facts were asked right after their own edit.
    """
    return _csv([row for result in results for row in _rows(result)], SCORE_COLUMNS)


def differences_csv(results: Sequence[Results]) -> str:
    """Differences of every pair of methods, from -1 to 1."""
    rows = [
        (
            result.group.name, entry.phase, entry.style, entry.measure, entry.difference.one, entry.difference.other,
            *_numbers(entry.difference.interval)[:3], entry.difference.p_value, entry.difference.adjusted,
            entry.difference.interval.facts, entry.difference.verdict,
        )
        for result in results
        for entry in result.compared
    ]  # fmt: skip
    return _csv(rows, DIFFERENCE_COLUMNS)


def _rows(result: Results) -> Iterator[tuple[object, ...]]:
    mode = result.group.name
    ends = {run.label: run.steps[-1] if run.steps else None for run in result.group.runs}
    for phase, scored in result.scored.items():
        for method in scored:
            if method.edited:
                place = phase, ends[method.label] if phase in AGAIN else None
            elif phase == "retained":  # the unedited model's are those of the first phase
                continue
            else:
                place = ("untouched", 0) if phase == "untouched" else ("before", None)
            for style, measures in method.means.items():
                for measure, value in measures.items():
                    yield method.label, mode, *place, style, measure, *_numbers(value)
    for phase, scored in result.probes.items():
        for method in scored:
            if method.edited or phase == next(iter(result.probes)):
                place = (phase, ends[method.label] if phase in AGAIN else None) if method.edited else ("before", None)
                for measure, value in method.means[PROBED].items():
                    yield method.label, mode, *place, PROBED, measure, *_numbers(value)
    for (phase, style, section), methods in result.courses.items():
        for label, course in methods.items():
            for step, value in course.items():
                if step != ends[label]:
                    yield label, mode, phase, step, style, section, *_numbers(value)
    for label, figures in result.figures.items():
        for name, value in figures.items():
            yield label, mode, "retained" if ends[label] else "immediate", ends[label], "figure", name, *_numbers(value)
    for label, phase, step, ability, score, samples in ability_values(result.group):
        yield label, mode, phase, step, ABILITIES, ability, score, None, None, samples
    for label, phase, step, style, measure, value in afterlife_values(result.group):
        yield label, mode, phase, step, style, measure, *_numbers(value)


def _numbers(value: Interval) -> tuple[float, float, float, int]:
    return value.mean, value.low, value.high, value.facts


def _csv(rows: Sequence[tuple[object, ...]], columns: Sequence[str]) -> str:
    frame = pd.DataFrame(rows, columns=list(columns)).astype({"step": "Int64"} if "step" in columns else {})
    text: str = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text
