"""All numbers of a comparison, computed once for every format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from easyedit_ice.bench.report.comparison import Comparison, Group
from easyedit_ice.bench.report.paired_tests import Difference, differences
from easyedit_ice.bench.report.phrases import MEASURES, STYLES
from easyedit_ice.bench.report.probes import PHASES as PROBE_PHASES
from easyedit_ice.bench.report.probes import probe_differences, probed
from easyedit_ice.bench.report.reported_scores import (
    Scored,
    baselines,
    known_before,
    means,
    phases,
    scores,
    scores_of,
    with_known,
)
from easyedit_ice.bench.report.side_effect_figures import rounding_floor, side_figures, unedited_figures
from easyedit_ice.bench.report.undo import Undone, undone
from easyedit_ice.bench.storage.line import PROBED
from easyedit_ice.evaluation import Interval
from easyedit_ice.evaluation.intervals import share_interval

AGAIN = ("retained", "untouched")
"""Phases in which facts are asked again after some steps of a stream."""


@dataclass(frozen=True)
class Compared:
    """A difference of two methods.

    Attributes:
        phase: of the ledger.
        style: of the scores.
        measure: one of the sections, the known facts, or a probe.
        difference: what was found.
    """

    phase: str
    style: str
    measure: str
    difference: Difference


@dataclass(frozen=True)
class Results:
    """The numbers of one mode.

    Attributes:
        group: its runs.
        scored: by phase; the unedited model, then the methods in their order.
        figures: by method: cost and side effects.
        unedited: fluency and perplexity before any edit, by name of the unedited model.
        rounding: by method, where weights are packed: the same after a change that means nothing, and known facts kept.
        compared: every pair of methods, in every section, style and phase.
        probes: by phase in which they were asked, what the unedited model and the methods answered to probes.
        undone: by method: what its edits left behind once they were taken out, where that was checked.
        courses: by phase, style, section and method, the mean after each step at which all facts were asked again.
    """

    group: Group
    scored: dict[str, tuple[Scored, ...]]
    figures: dict[str, dict[str, Interval]]
    unedited: dict[str, dict[str, float]]
    rounding: dict[str, dict[str, float]]
    compared: tuple[Compared, ...]
    probes: dict[str, tuple[Scored, ...]]
    undone: dict[str, Undone]
    courses: dict[tuple[str, str, str], dict[str, dict[int, Interval]]]

    @property
    def phases(self) -> tuple[str, ...]:
        """Phases there are scores of."""
        return tuple(self.scored)

    @property
    def final_phase(self) -> str:
        """The phase whose scores are of all edits in force, or the last there are scores of."""
        return "retained" if "retained" in self.scored else next(iter(self.scored))

    def main_style(self, phase: str) -> str:
        """What the model writes freely, where it was asked to."""
        styles = self.styles(phase)
        return "generated" if "generated" in styles else styles[0]

    def styles(self, phase: str) -> tuple[str, ...]:
        """Styles there are scores of."""
        return tuple(style for style in STYLES if any(style in method.means for method in self.scored[phase]))


def analyse(comparison: Comparison) -> tuple[Results, ...]:
    """The numbers of every mode. Seeded: equal runs give equal numbers."""
    return tuple(_results(group) for group in comparison.groups)


def _results(group: Group) -> Results:
    scored = {phase: tuple(_scored(group, phase)) for phase in phases(group)}
    probes = {phase: methods for phase in PROBE_PHASES if (methods := probed(group, phase)) and methods[-1].edited}
    return Results(
        group=group,
        scored=scored,
        figures={run.label: side_figures(run) for run in group.runs},
        unedited={name: unedited_figures(run) for name, run, _ in baselines(group, "immediate")},
        rounding={run.label: floor for run in group.runs if (floor := rounding_floor(run))},
        compared=(
            *(entry for phase, methods in scored.items() for entry in _compared(group, phase, methods)),
            *(
                Compared(phase, PROBED, *difference)
                for phase, methods in probes.items()
                for difference in probe_differences(methods)
            ),
        ),
        probes=probes,
        undone={run.label: left for run in group.runs if (left := undone(run)) is not None},
        courses=_courses(group),
    )


def _scored(group: Group, phase: str) -> Iterator[Scored]:
    for name, run, lines in baselines(group, phase):
        values = with_known(scores(lines), known_before(run) if phase == run.final_phase else {})
        yield Scored(name, False, values, means(values))
    for run in group.runs:
        values = scores_of(run, phase)
        yield Scored(run.label, True, values, means(values))


def _compared(group: Group, phase: str, scored: tuple[Scored, ...]) -> Iterator[Compared]:
    """Pairs of methods; after a stream, those whose streams are equally long. Facts never edited shall only stay."""
    methods = [method for method in scored if method.edited]
    ends = {run.label: run.steps[-1:] if phase in AGAIN else () for run in group.runs}
    for style in STYLES:
        for measure in ("locality",) if phase == "untouched" else MEASURES:
            for end in dict.fromkeys(ends.values()):
                values = {
                    method.label: method.values[style][measure]
                    for method in methods
                    if ends[method.label] == end and measure in method.values.get(style, {})
                }
                yield from (Compared(phase, style, measure, difference) for difference in differences(values))


def _courses(group: Group) -> dict[tuple[str, str, str], dict[str, dict[int, Interval]]]:
    courses: dict[tuple[str, str, str], dict[str, dict[int, Interval]]] = {}
    for phase, run in product(AGAIN, group.runs):
        for step in run.steps:
            for style, measures in scores_of(run, phase, step).items():
                for section in (section for section in MEASURES if section in measures):
                    course = courses.setdefault((phase, style, section), {}).setdefault(run.label, {})
                    course[step] = share_interval(list(measures[section].values()))
    return courses
