"""How a report names things and writes numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from easyedit_ice.evaluation import Interval

STYLES = {
    "teacher_forced": "teacher-forced",
    "generated": "generated",
    "judged": "judged",
    "probability": "probability",
}
MODES = ("single", "batch", "sequential")
PHASES = {
    "before": "before any edit",
    "immediate": "right after the edit",
    "retained": "after the last edit",
    "untouched": "facts never edited, after the last edit",
}
SECTIONS = ("rewrite", "rephrase", "portability", "locality")
KNOWN = "known"
"""Share of facts the unedited model knew that the edited one still answers right."""
MEASURES = (*SECTIONS, KNOWN)
"""What methods are compared in."""
HEADINGS = {KNOWN: "known kept"}
SCORE = "score"
"""Harmonic mean of the probability style's rewrite, rephrase and locality."""
FIGURES = {
    "fluency": "fluency, bits",
    "perplexity": "perplexity",
    "text_perplexity": "perplexity of text",
    "kl": "KL, nats",
    "update_norm": "update norm",
    "relative_update_norm": "relative, %",
    "edit_seconds": "s per fact",
    "peak_mib": "peak MiB",
}
MISSING = "–"


class Mode(NamedTuple):
    """How facts were put together.

    Attributes:
        name: single, batch or sequential.
        size: how many facts an edit writes.
        order: seed of the order in which the facts were written; below 0 as they were chosen.
    """

    name: str
    size: int
    order: int = -1


def mode_name(mode: Mode) -> str:
    """A mode in words, such as ``batch of 10`` or ``sequential, order 1``."""
    order = "" if mode.order < 0 else f", order {mode.order}"
    if mode.name == "single":
        return f"single{order}"
    if mode.name == "batch":
        return f"batch of {mode.size}{order}"
    return mode.name + (f", {mode.size} at a time" if mode.size > 1 else "") + order


def mode_slug(mode: Mode) -> str:
    """A mode in names of files and anchors."""
    sized = mode.name if mode.size == 1 else f"{mode.name}-{mode.size}"
    return sized if mode.order < 0 else f"{sized}-order-{mode.order}"


def mode_order(mode: Mode) -> tuple[int, Mode]:
    """Sort key: single, batch, sequential, each by how many facts an edit writes, and by order."""
    return (MODES.index(mode.name) if mode.name in MODES else len(MODES), mode)


def measure_order(measure: str) -> tuple[int, str]:
    """Sort key: sections in their usual order, each before its kinds."""
    section = measure.partition(".")[0]
    return (MEASURES.index(section) if section in MEASURES else len(MEASURES), measure)


def percent(interval: Interval | None) -> str:
    """A score in per cent with its interval."""
    return MISSING if interval is None else str(interval).strip()


def points(difference: Interval) -> str:
    """A difference of scores in percentage points, signed, with its interval."""
    mean, low, high = (_signed(100 * value) for value in (difference.mean, difference.low, difference.high))
    return f"{mean} [{low}, {high}]"


def figure(interval: Interval | None) -> str:
    """A figure that is no score, with its interval if it is a mean of several values."""
    if interval is None:
        return MISSING
    if interval.facts < 2 or math.isnan(interval.low) or interval.low == interval.high:
        return number(interval.mean)
    return f"{number(interval.mean)} [{number(interval.low)}, {number(interval.high)}]"


def number(value: float) -> str:
    """Three significant digits, and never fewer than the whole number."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def p_value(value: float) -> str:
    """A p-value with three decimals."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, as ``A, B and C``; one at least."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _signed(value: float) -> str:
    rounded = round(value, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"
