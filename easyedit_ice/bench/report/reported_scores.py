"""Scores of a run: fact by fact, and their means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from easyedit_ice.bench.report.comparison import Group
from easyedit_ice.bench.report.paired_tests import Facts, success_score
from easyedit_ice.bench.report.phrases import KNOWN, SCORE, STYLES, measure_order
from easyedit_ice.bench.report.reading_runs import FactKey, Run, fact_key
from easyedit_ice.bench.storage.line import Line
from easyedit_ice.evaluation import Interval
from easyedit_ice.evaluation.intervals import share_interval, with_sections

Scores = dict[str, dict[str, Facts]]
"""Values from 0 to 1 by style, measure and fact; a section's value is the mean over a fact's kinds."""
Means = dict[str, dict[str, Interval]]
"""Means over facts by style and measure."""

SUCCESS = ("rewrite", "rephrase", "locality")
"""What ROME's Score is the harmonic mean of: efficacy, paraphrase and neighbourhood success."""


@dataclass(frozen=True)
class Scored:
    """A method's scores in one phase.

    Attributes:
        label: the method, or the unedited model.
        edited: whether it is a method.
        values: its scores by style, measure and fact.
        means: over facts.
    """

    label: str
    edited: bool
    values: Scores
    means: Means


def scores(lines: Sequence[Line], styles: Iterable[str] = tuple(STYLES)) -> Scores:
    """Every fact's scores of some styles, among them its sections' means."""
    result: dict[str, Any] = {}
    for line in lines:
        for style, measures in line["scores"].items():
            for measure, value in with_sections(measures).items():
                result.setdefault(style, {}).setdefault(measure, {})[fact_key(line)] = value
    return {style: _ordered(result[style]) for style in styles if style in result}


def scores_of(run: Run, phase: str, step: int | None = None) -> Scores:
    """Every fact's scores in a phase of a run, and what is left of the known facts; arguments as in :meth:`Run.at`."""
    values = scores(run.at(phase, step))
    if phase != run.final_phase:
        return values
    return with_known(values, known_after(run, step or max(run.steps, default=None)))


def with_known(values: Scores, of_known: Facts) -> Scores:
    """Scores with what is left of the known facts, which are asked under teacher forcing; as they were without any."""
    return values | {"teacher_forced": values.get("teacher_forced", {}) | {KNOWN: of_known}} if of_known else values


def known_after(run: Run, step: int | None) -> Facts:
    """Share of the known facts that are kept: after each edit, or after a step of a stream by known fact."""
    lines = [line for line in run.at("drift") if "known" in line and line["step"]]
    if run.is_sequential:
        return _by_known_fact([line for line in lines if line["step"] == step])
    return {(line["position"], KNOWN, ""): 1 - len(line["known"]["lost"]) / line["known"]["facts"] for line in lines}


def known_before(run: Run) -> Facts:
    """The same of the model as the method edits it, by known fact; of a quantised one that may be less than all."""
    return _by_known_fact([line for line in run.at("drift") if "known" in line and not line["step"]])


def means(values: Scores) -> Means:
    """Means over facts with intervals, and the Score of the probability style where it has one."""
    result = {
        style: {measure: share_interval(list(facts.values())) for measure, facts in measures.items()}
        for style, measures in values.items()
    }
    success = values.get("probability", {})
    if all(measure in success for measure in SUCCESS):
        result["probability"][SCORE] = success_score([success[measure] for measure in SUCCESS])
    return result


def phases(group: Group) -> tuple[str, ...]:
    """Phases that the runs of a group have scores of, besides the one before any edit."""
    return tuple(phase for phase in ("immediate", "retained", "untouched") if any(run.at(phase) for run in group.runs))


def baselines(group: Group, phase: str) -> Iterator[tuple[str, Run, list[Line]]]:
    """Names, runs and lines of the unedited model: one for all runs of a group that share the protocol."""

    def lines(run: Run) -> list[Line]:
        return run.at("untouched", 0) if phase == "untouched" else run.at("before")

    if group.alike:
        longest = max(group.runs, key=lambda run: len(lines(run)))
        yield "unedited model", longest, lines(longest)
    else:
        yield from ((f"unedited ({run.label})", run, lines(run)) for run in group.runs)


def _by_known_fact(lines: Sequence[Line]) -> Facts:
    entries = [line["known"] for line in lines]
    return {
        (place, KNOWN, ""): float(place not in entry["lost"]) for entry in entries for place in range(entry["facts"])
    }


def _ordered(measures: dict[str, dict[FactKey, float]]) -> dict[str, Facts]:
    return {measure: measures[measure] for measure in sorted(measures, key=measure_order)}
