"""The plots of a report: PNG for files, SVG for the page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.charts import INK, Style, bars, cost, course, overview, tradeoff
from easyedit_ice.bench.report.phrases import PHASES
from easyedit_ice.bench.report.survival import survival
from easyedit_ice.bench.report.survival_chart import survival_chart

DPI = 144
SURVIVAL = "survival"
"""The plot of all modes together."""


@dataclass(frozen=True)
class Plot:
    """A finished plot.

    Attributes:
        file: its name.
        title: what it shows.
        png: its bytes.
        svg: the same, sharp at any size.
    """

    file: str
    title: str
    png: bytes
    svg: bytes


def all_plots(results: Sequence[Results], drawn: Mapping[str, Style]) -> dict[str, list[Plot]]:
    """The plots of each mode, by its slug, and under ``survival`` that of what survives where probes were asked.

    Args:
        results: the numbers of all modes.
        drawn: how each method is drawn.
    """
    survived = survival(results)
    first = []
    if survived is not None and any(test.says for test in survived.tests):
        first.append(_plot("survival.png", "What survives", survival_chart(survived)))
    return {SURVIVAL: first} | {result.group.slug: plots(result, drawn) for result in results}


def plots(results: Results, drawn: Mapping[str, Style]) -> list[Plot]:
    """All plots of one mode for which there are numbers.

    Args:
        results: the mode's numbers.
        drawn: how each method is drawn.
    """
    name = results.group.name
    pictures = [
        (phase, f"Scores {'of ' if phase == 'untouched' else ''}{PHASES[phase]} ({name})", bars(results, phase, drawn))
        for phase in results.phases
    ]
    if results.phases:
        pictures.append(("tradeoff", f"Success against locality ({name})", tradeoff(results, drawn)))
    if any(len(steps) > 1 for methods in results.courses.values() for steps in methods.values()):
        pictures.append(("course", f"Scores over the course of edits ({name})", course(results, drawn)))
    if any("edit_seconds" in figures for figures in results.figures.values()):
        pictures.append(("cost", f"Time and memory ({name})", cost(results, drawn)))
    return [_plot(f"{results.group.slug}-{kind}.png", title, figure) for kind, title, figure in pictures]


def picture(results: Results, drawn: Mapping[str, Style]) -> bytes:
    """The one picture of a mode that the page begins with, as SVG."""
    return _svg(overview(results, drawn))


def _plot(file: str, title: str, figure: Figure) -> Plot:
    svg = _svg(figure)
    figure.suptitle(title, fontsize=12, color=INK)
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(data, format="png", dpi=DPI, metadata={"Software": None})
    return Plot(file, title, data.getvalue(), svg)


def _svg(figure: Figure) -> bytes:
    data = io.BytesIO()
    with rc_context({"svg.hashsalt": "easyedit_ice"}):  # equal figures give equal bytes
        FigureCanvasSVG(figure).print_figure(data, format="svg", metadata={"Date": None, "Creator": None})
    return data.getvalue()
