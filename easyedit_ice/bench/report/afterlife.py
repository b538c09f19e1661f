"""What stays of edits after the model was trained, rounded or merged, in a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from easyedit_ice.bench.report.comparison import Group
from easyedit_ice.bench.report.paired_tests import Facts
from easyedit_ice.bench.report.phrases import MISSING, percent
from easyedit_ice.bench.report.reading_runs import Run, fact_key
from easyedit_ice.bench.report.reported_scores import scores
from easyedit_ice.bench.storage.line import AFTERLIFE, Line, after
from easyedit_ice.evaluation import Interval
from easyedit_ice.evaluation.afterlife import TREATMENTS
from easyedit_ice.evaluation.intervals import share_interval

SECTIONS = ("rewrite", "rephrase", "locality")
HEADER = ("treatment", "method", *SECTIONS, "edits kept", "known kept", "known kept, unedited")
NOTHING = "none"
"""The treatment of a row that says how things stood before any."""


def note(style: str, treatments: Sequence[str]) -> str:
    """What the table says, and what was done."""
    done = "; ".join(f"{name}: {TREATMENTS[name]}" for name in treatments)
    return (
        f"The edited facts, {style}, asked again after the edited model went through something, which is then taken "
        "back to the bit. Per cent, with 95 % intervals over facts. Edits kept: of the facts whose rewrite was right "
        "before, the share that still is. Known kept: of facts that the unedited model knows, the share that the "
        f"edited model answers after the treatment, and that the unedited one does after the same. {done}."
    )


def afterlife_rows(group: Group, style: str) -> list[tuple[str, ...]]:
    """Rows of :data:`HEADER`: how things stand without a treatment, and after each.

    Args:
        group: runs of one mode.
        style: of the scores, such as ``generated``.
    """
    done = treatments(group)
    return [
        (name, run.label, *_cells(run, name, style))
        for name in (NOTHING, *done)
        for run in group.runs
        if done and run.at(AFTERLIFE if name == NOTHING else after(name))
    ]


def treatments(group: Group) -> tuple[str, ...]:
    """Those that runs of the group went through."""
    return tuple(name for name in TREATMENTS if any(run.at(after(name)) for run in group.runs))


def afterlife_values(group: Group) -> Iterator[tuple[str, str, int, str, str, Interval]]:
    """Of every run and treatment: label, phase, step, style, measure, and the mean over facts."""
    for run in group.runs:
        for name in treatments(group):
            lines = run.at(after(name))
            step = max((line["step"] for line in lines), default=0)
            for style, measures in scores(lines).items():
                for measure, values in measures.items():
                    yield run.label, after(name), step, style, measure, share_interval(list(values.values()))


def _cells(run: Run, treatment: str, style: str) -> Iterator[str]:
    lines = run.at(after(treatment)) if treatment != NOTHING else _untreated(run)
    measures = scores(lines, (style,)).get(style, {})
    for section in SECTIONS:
        yield percent(share_interval(list(measures[section].values()))) if section in measures else MISSING
    before = scores(_untreated(run), (style,)).get(style, {}).get("rewrite", {})
    yield _rewrite_kept(before, measures.get("rewrite", {})) if treatment != NOTHING else MISSING
    for edited in (True, False):
        yield _known_facts(run, treatment, edited)


def _untreated(run: Run) -> list[Line]:
    """Lines of the facts that were asked after treatments, as they stood before: in other modes of the first edits."""
    facts = {fact_key(line) for name in TREATMENTS for line in run.at(after(name))}
    return [line for line in run.at(run.final_phase) if fact_key(line) in facts]


def _rewrite_kept(before: Facts, now: Facts) -> str:
    shares = [float(now[fact] == 1) for fact, value in before.items() if value == 1 and fact in now]
    return percent(share_interval(shares)) if shares else MISSING


def _known_facts(run: Run, treatment: str, edited: bool) -> str:
    """Share of known facts that are kept, in the states that were followed up."""
    if treatment == NOTHING:
        followed = {(line["position"], line["step"]) for line in run.at(AFTERLIFE)}
        entries: list[Mapping[str, Any]] = [
            line
            for line in run.at("drift")
            if (line["position"], line["step"]) in followed and bool(line["step"]) == edited
        ]
    else:
        lines = [line for line in run.at(AFTERLIFE) if bool(line["step"]) == edited]
        entries = [line["afterlife"].get(treatment, {}) for line in lines]
    counts = [entry["known"] for entry in entries if "known" in entry]
    values = [float(place not in entry["lost"]) for entry in counts for place in range(entry["facts"])]
    return percent(share_interval(values)) if values else MISSING
