"""Probes in a report: what each method answers, beside what the unedited model can answer at all."""

from __future__ import annotations

from collections.abc import Iterator

from easyedit_ice.bench.report.comparison import Group
from easyedit_ice.bench.report.paired_tests import Difference, differences
from easyedit_ice.bench.report.phrases import number
from easyedit_ice.bench.report.reported_scores import Scored, baselines, means, scores
from easyedit_ice.bench.storage.line import OLD, PROBED, TOLD
from easyedit_ice.evaluation import Interval
from easyedit_ice.evaluation.probes import PROBES

PHASES = ("immediate", "retained")
"""Phases in which probes of edited facts are asked."""
ABLE = {TOLD: "told the new fact", OLD: "of old facts"}
"""How the unedited model was asked besides, to see what it can answer."""


def probed(group: Group, phase: str) -> tuple[Scored, ...]:
    """Scores of probes in a phase: the unedited model's as it is, told, and of old facts, and each method's."""
    return tuple(method for method in _scored(group, phase) if PROBED in method.values)


def _scored(group: Group, phase: str) -> Iterator[Scored]:
    for name, _, lines in baselines(group, phase):
        for style, how in {PROBED: "", **ABLE}.items():
            values = {PROBED: of_style} if (of_style := scores(lines, (style,)).get(style)) else {}
            yield Scored(f"{name}, {how}" if how else name, False, values, means(values))
    for run in group.runs:
        values = scores(run.at(phase), (PROBED,))
        yield Scored(run.label, True, values, means(values))


def probe_differences(scored: tuple[Scored, ...]) -> Iterator[tuple[str, Difference]]:
    """Every pair of methods in every probe."""
    for probe in PROBES:
        values = {
            method.label: method.values[PROBED][probe]
            for method in scored
            if method.edited and probe in method.values[PROBED]
        }
        yield from ((probe, difference) for difference in differences(values))


def asked(scored: tuple[Scored, ...]) -> tuple[str, ...]:
    """The probes there are scores of, in their order."""
    return tuple(probe for probe in PROBES if any(probe in method.means[PROBED] for method in scored))


def can_answer(scored: tuple[Scored, ...], probe: str) -> str:
    """Whether the unedited model answers such questions: told the fact, or of old facts, better than by guessing.

    Better is an interval that lies above the share of right answers by guessing.
    """
    ways = {
        how: any(
            _beats(method.means[PROBED].get(probe), PROBES[probe].chance)
            for method in scored
            if method.label.endswith(how)
        )
        for how in ABLE.values()
    }
    able = [how for how, beats in ways.items() if beats]
    return "yes" if len(able) == len(ways) else f"only {able[0]}" if able else "no"


def chance(probe: str) -> str:
    """The share of right answers by guessing, in per cent."""
    return number(100 * PROBES[probe].chance)


def explained(names: tuple[str, ...]) -> str:
    """What is asked and what is right, probe by probe."""
    return " ".join(f"{name}: {PROBES[name].asks}; right if {PROBES[name].right}." for name in names)


def _beats(interval: Interval | None, share: float) -> bool:
    return interval is not None and interval.low > share
