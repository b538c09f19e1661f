"""What a run prints at its end: the figures of the report's first tables, short enough for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.comparison import Group
from easyedit_ice.bench.report.phrases import HEADINGS, KNOWN, MEASURES, PHASES, STYLES, number
from easyedit_ice.evaluation import Interval

MISSING = "-"
"""As tables on the terminal have it."""


@dataclass(frozen=True)
class Brief:
    """A table for a terminal.

    Attributes:
        title: what it is of.
        header: of its columns.
        rows: the unedited model, then the methods; means alone.
        note: how far off these may be.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def brief(results: Results) -> Brief:
    """The scores of one mode at the end of its edits, in the style of the report's plots, with what an edit costs."""
    phase = results.final_phase
    style = results.main_style(phase)
    scored = results.scored[phase]
    shown = [measure for measure in MEASURES if any(_mean(method.means, style, measure) for method in scored)]
    rows = []
    for method in scored:
        figures = results.figures.get(method.label, {})
        cells = (_cell(_mean(method.means, style, measure)) for measure in shown)
        cost = (number(figures[name].mean) if name in figures else MISSING for name in ("edit_seconds", "peak_mib"))
        rows.append((method.label, *_counts(results.group, method.label), *cells, *cost))
    header = ("method", "facts", "failed", *(HEADINGS.get(m, m) for m in shown), "s per fact", "peak MiB")
    title = f"{described(results.group)}\n{STYLES[style]}, % of questions, {PHASES[phase]}"
    shares = [mean for method in scored if method.edited for m in shown if (mean := _mean(method.means, style, m))]
    reach = max((max(share.mean - share.low, share.high - share.mean) for share in shares), default=0.0)
    note = f"With so many facts, 95 % intervals reach up to {100 * reach:.0f} points from these means."
    return Brief(title, header, tuple(rows), note)


def described(group: Group) -> str:
    """What was edited and how, in one line."""
    run = group.runs[0]
    model, data = run.manifest["model"], run.manifest["data"]
    parameters = model.get("parameters")
    size = f" ({in_short(parameters)} parameters)" if parameters else ""
    return f"{group.name}, {data['facts']} facts of {data.get('source', '?')}, {model.get('name', '?')}{size}"


def in_short(count: int) -> str:
    """A large number in two or three digits, as ``3.2 M``."""
    for unit, name in ((10**9, " B"), (10**6, " M"), (10**3, " k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}" if count >= 100 * unit else f"{count / unit:.2g}{name}"
    return str(count)


def _counts(group: Group, label: str) -> Sequence[str]:
    run = next((run for run in group.runs if run.label == label), None)
    return (MISSING, MISSING) if run is None else (str(run.written), str(run.failed))


def _mean(means: dict[str, dict[str, Interval]], style: str, measure: str) -> Interval | None:
    """Known facts are asked under teacher forcing whatever the style."""
    return means.get("teacher_forced" if measure == KNOWN else style, {}).get(measure)


def _cell(value: Interval | None) -> str:
    return MISSING if value is None else f"{100 * value.mean:.1f}"
