"""Which of a written text's two answers a report shows: the whole text, or what stands at its beginning.

A model that ends its answers by itself is judged by the whole text, up to that natural stop. One that goes on writing
never gets there, and is judged by the leading answer (:mod:`easyedit_ice.evaluation.leading_answer`). Ledgers hold
both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from easyedit_ice.bench.report.reading_runs import Run
from easyedit_ice.bench.storage.line import Answer, Line
from easyedit_ice.errors import RunConfigError, did_you_mean

NATURAL, LEADING = "generated", "leading"
"""Styles of the scores of the two."""
ANSWERS = {"auto": None, "natural": NATURAL, "leading": LEADING}
"""What can be asked for."""
STOPS = 0.5
"""Share of answers that the unedited model must end by itself to be judged by whole texts."""


def as_shown(runs: Sequence[Run], answers: str = "auto") -> tuple[list[Run], list[str]]:
    """The runs with one kind of answer alone, and a note that says which.

    Args:
        runs: as they were read.
        answers: ``"natural"``, ``"leading"``, or ``"auto"``: natural stops where the unedited model stopped by itself
            after half of its answers or more, or where a run has no leading answers, as earlier versions kept none.

    Raises:
        RunConfigError: ``answers`` is none of these, or a run has no leading answers and they are asked for.
    """
    if answers not in ANSWERS:
        raise RunConfigError(
            f"answers is {answers!r}; expected one of {', '.join(ANSWERS)}.{did_you_mean(answers, list(ANSWERS))}"
        )
    written = [run for run in runs if any(NATURAL in line.get("scores", {}) for line in run.lines)]
    without = [run.label for run in written if not any(LEADING in line.get("scores", {}) for line in run.lines)]
    if answers == "leading" and without:
        raise RunConfigError(
            f"answers is 'leading', but {', '.join(without)} kept no leading answers; run again, or leave answers=auto"
        )
    share = stops_by_itself(written)
    leads = not without and share is not None and share < STOPS
    style = ANSWERS[answers] or (LEADING if leads else NATURAL)
    return [_with(run, style) for run in runs], _notes(style, share) if written else []


def stops_by_itself(runs: Sequence[Run]) -> float | None:
    """The share of answers that the unedited model ended by itself; none if no run kept it."""
    shares = [line["stopped"] for run in runs for line in run.at("before") if "stopped" in line]
    return fmean(shares) if shares else None


def _notes(style: str, share: float | None) -> list[str]:
    measured = "" if share is None else f"; the unedited model ended {100 * share:.0f} % of its answers by itself"
    what = "the whole text up to its natural stop" if style == NATURAL else "the leading answer"
    return [f"generated scores are of {what}{measured}"]


def _with(run: Run, style: str) -> Run:
    return replace(run, lines=tuple(_line(line, style) for line in run.lines))


def _line(line: Line, style: str) -> Line:
    """A line whose generated scores, and verdicts on answers, are of one style."""
    if "scores" not in line:
        return line
    scores: dict[str, Any] = {name: values for name, values in line["scores"].items() if name not in (NATURAL, LEADING)}
    if style in line["scores"]:
        scores[NATURAL] = line["scores"][style]
    shown: Line = {**line, "scores": scores}
    if style == LEADING and "answers" in line:
        shown["answers"] = [_leading(answer) for answer in line["answers"]]
    return shown


def _leading(answer: Answer) -> Answer:
    return {**answer, "right": answer["leads"]} if "leads" in answer else answer
