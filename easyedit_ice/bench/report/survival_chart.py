"""The picture of what survives: a panel for each test that says something, a bar for each method."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from easyedit_ice.bench.report.charts import GRID, INK, WIDTH
from easyedit_ice.bench.report.survival import Row, Survival, Test
from easyedit_ice.evaluation import Interval

COLOURS = {"holds": "#0072B2", "fades": "#E69F00", "gone": "#D55E00", "": "#9A9A9A"}
"""Of each verdict, and of what is shown without one."""
WORDS = {"holds": "holds", "fades": "fades", "gone": "no better than guessing", "": "not judged"}
_ROW, _HEAD, _FOOT = 0.24, 0.75, 0.8
"""Inches of a row, of the headings, and of the legend."""
_GAP = 0.6
"""Rows between two groups of methods."""
_LETTERS = 13
"""Of a heading's line."""


def survival_chart(survived: Survival) -> Figure:
    """Shares of right answers with intervals, methods by whose they are; a dotted line is what guessing gives."""
    shown = [test for test in survived.tests if test.says]
    rows = _rows(survived)
    height = _ROW * (max((place for _, place in rows), default=0.0) + 1.5) + _HEAD + _FOOT
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = list(np.ravel(figure.subplots(1, len(shown), squeeze=False, sharey=True)))
    for test, axes in zip(shown, panels, strict=True):
        _draw(axes, test, survived, rows)
    labels, places = ["unedited model", *(row.label for row, _ in rows)], [0.0, *(place for _, place in rows)]
    panels[0].set_yticks(places, labels, fontsize=8)
    panels[0].invert_yaxis()
    there = {cell.verdict for row, _ in rows for test in shown if (cell := row.cells.get(test.name))}
    patches = [Patch(color=COLOURS[verdict], label=word) for verdict, word in WORDS.items() if verdict in there]
    told = f"per cent of facts with a right answer, dotted: by guessing; {survived.circumstances}"
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": max(1, len(patches))}
    figure.legend(handles=patches, title=told, title_fontsize=8, fontsize=8, frameon=False, **place)
    return figure


def _rows(survived: Survival) -> list[tuple[Row, float]]:
    """Where each method stands: below the unedited model, with room between groups."""
    places: list[tuple[Row, float]] = []
    for number, (_, rows) in enumerate(survived.parts, 1):
        begin = 1 + len(places) + number * _GAP
        places += [(row, begin + place) for place, row in enumerate(rows)]
    return places


def _draw(axes: Axes, test: Test, survived: Survival, rows: Sequence[tuple[Row, float]]) -> None:
    if before := survived.before.get(test.name):
        _bar(axes, 0.0, before, COLOURS[""], alpha=0.5)
    for row, place in rows:
        if cell := row.cells.get(test.name):
            _bar(axes, place, cell.share, COLOURS[cell.verdict])
    if test.chance:
        axes.axvline(100 * test.chance, color=INK, linestyle="dotted", linewidth=1)
    axes.set_title(fill(test.heading, _LETTERS), fontsize=8, color=INK)
    axes.set_xlim(0, 130)
    axes.set_xticks([0, 50, 100])
    axes.tick_params(labelsize=7, length=2)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _bar(axes: Axes, place: float, share: Interval, colour: str, **look: Any) -> None:
    low, mean, high = (100 * value for value in (share.low, share.mean, share.high))
    axes.barh(place, mean, 0.72, color=colour, **look)
    reach = [[max(mean - low, 0.0)], [max(high - mean, 0.0)]]
    axes.errorbar([mean], [place], xerr=reach, fmt="none", ecolor=INK, elinewidth=0.7)
    axes.annotate(
        f"{mean:.0f}", (max(high, mean), place), (2, 0), textcoords="offset points", va="center", fontsize=6.5
    )
