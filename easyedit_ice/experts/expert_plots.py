"""Figures of what a dispatcher chooses, and of how well it does, drawn without pyplot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from easyedit_ice.evaluation import Interval
from easyedit_ice.runtime.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 144
INK, GRID = "#333333", "#dddddd"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00")
_COLUMNS = 4
_DARK = 0.6
"""From this α on a cell's number is white."""


def draw_alphas(
    alphas: Mapping[str, Sequence[Sequence[float]]], rows: Sequence[str], experts: Sequence[str], path: str | Path
) -> None:
    """A panel for each strategy: mean α of each expert (columns) over the questions of each kind (rows), as PNG.

    Args:
        alphas: by strategy, (rows, experts).
        rows: kinds of questions.
        experts: their names.
        path: of the file.
    """
    wide = min(len(alphas), _COLUMNS)
    deep = -(-len(alphas) // wide)
    size = (1.2 + wide * (0.9 + 0.55 * len(experts)), deep * (1.3 + 0.42 * len(rows)) + 0.4)
    figure = _figure(*size)
    panels = list(np.ravel(figure.subplots(deep, wide, squeeze=False)))
    for place, (axes, (name, table)) in enumerate(zip(panels, alphas.items(), strict=False)):
        axes.imshow(np.asarray(table), vmin=0, vmax=1, cmap="Blues", aspect="auto")
        for row, values in enumerate(table):
            for column, value in enumerate(values):
                colour = "white" if value > _DARK else INK
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
        axes.set_title(name, fontsize=9, color=INK)
        axes.set_xticks(range(len(experts)), experts, rotation=40, ha="right", fontsize=7)
        axes.set_yticks(range(len(rows)), rows if place % wide == 0 else [""] * len(rows), fontsize=7)
    for axes in panels[len(alphas) :]:
        axes.set_axis_off()
    figure.suptitle("mean α of each expert, by kind of question", fontsize=11, color=INK)
    _write(figure, path)


def draw_scores(scores: Mapping[str, Mapping[str, Interval]], path: str | Path) -> None:
    """A panel for each measure: means of all strategies with their intervals, as PNG.

    Args:
        scores: by strategy and measure.
        path: of the file.
    """
    measures = list(dict.fromkeys(measure for by_measure in scores.values() for measure in by_measure))
    names = list(scores)
    figure = _figure(2.2 + 2.1 * len(measures), 1.2 + 0.3 * len(names))
    panels = np.ravel(figure.subplots(1, len(measures), squeeze=False, sharey=True))
    for axes, measure, colour in zip(panels, measures, COLOURS * len(measures), strict=False):
        points = [(place, scores[name][measure]) for place, name in enumerate(names) if measure in scores[name]]
        means = [100 * value.mean for _, value in points]
        reach = [
            [100 * (value.mean - value.low) for _, value in points],
            [100 * (value.high - value.mean) for _, value in points],
        ]
        places = [place for place, _ in points]
        axes.barh(places, means, 0.7, color=colour)
        axes.errorbar(means, places, xerr=np.maximum(reach, 0), fmt="none", ecolor=INK, elinewidth=0.9, capsize=1.5)
        axes.set_title(measure, fontsize=9, color=INK)
        axes.set_xlabel("%", fontsize=8)
        axes.set_xlim(0, 105)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_axisbelow(True)
        axes.grid(axis="x", color=GRID, linewidth=0.7)
    panels[0].invert_yaxis()
    _write(figure, path)


def _figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    require("experts", "drawing")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _write(figure: Figure, path: str | Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).print_figure(str(path), format="png", dpi=DPI, metadata={"Software": None})
