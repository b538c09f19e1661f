"""The plots of a report, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.drawing import INK, Style, bars, cost, course, tradeoff
from easyedit_ice.bench.report.wording import PHASES

DPI = 144


@dataclass(frozen=True)
class Plot:
    """A finished plot.

    Attributes:
        file: its name.
        title: what it shows.
        png: its bytes.
    """

    file: str
    title: str
    png: bytes


def plots(results: Results, drawn: Mapping[str, Style]) -> list[Plot]:
    """All plots of one mode for which there are numbers.

    Args:
        results: the mode's numbers.
        drawn: how each method is drawn.
    """
    name = results.group.name
    found = [
        (phase, f"Scores {'of ' if phase == 'untouched' else ''}{PHASES[phase]} ({name})", bars(results, phase, drawn))
        for phase in results.phases
    ]
    if results.phases:
        found.append(("tradeoff", f"Success against locality ({name})", tradeoff(results, drawn)))
    if any(len(steps) > 1 for methods in results.courses.values() for steps in methods.values()):
        found.append(("course", f"Scores over the course of edits ({name})", course(results, drawn)))
    if any("edit_seconds" in own for own in results.figures.values()):
        found.append(("cost", f"Time and memory ({name})", cost(results, drawn)))
    return [_plot(f"{results.group.slug}-{kind}.png", title, figure) for kind, title, figure in found]


def _plot(file: str, title: str, figure: Figure) -> Plot:
    figure.suptitle(title, fontsize=12, color=INK)
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(data, format="png", dpi=DPI, metadata={"Software": None})
    return Plot(file, title, data.getvalue())
