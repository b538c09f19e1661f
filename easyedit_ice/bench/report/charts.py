"""Figures of scores and costs, drawn without pyplot; a method has one colour and one marker throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.headline import contenders
from easyedit_ice.bench.report.phrases import HEADINGS, KNOWN, SECTIONS, STYLES, number
from easyedit_ice.evaluation import Interval
from easyedit_ice.evaluation.intervals import share_interval

PALETTE = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7A5C00", "#5B4FA2", "#7F7F7F", "#8B0000"),
    *("#000000", "#7FB800", "#B45CFF", "#00A0A0"),
)
"""Okabe and Ito's colours, which the colour-blind can tell apart, and more for many methods."""
MARKERS = "osD^vPX*<>h"
INK, GRID = "#333333", "#dddddd"
WIDTH = 9.0
"""Of a figure, in inches."""
SMALL = 5.6
"""Of a figure that a phone shows, in inches."""
LEAST_RANGE = 10.0
"""Points that an axis of shares shows at least."""
LEGEND_LETTERS = 125
"""That fit into a figure's width, of a legend's type."""
WIDE_RANGE = 20
"""Ratio of largest to smallest from which an axis is logarithmic."""


@dataclass(frozen=True)
class Style:
    """How a method is drawn."""

    colour: str
    marker: str


def drawn_as(labels: Sequence[str]) -> dict[str, Style]:
    """Colour and marker of each method, by its place among all methods of the report; no two of a hundred are alike."""
    return {
        label: Style(PALETTE[place % len(PALETTE)], MARKERS[(place + place // len(PALETTE)) % len(MARKERS)])
        for place, label in enumerate(labels)
    }


def overview(results: Results, drawn: Mapping[str, Style]) -> Figure:
    """Success against locality at the end, one point a method: small, and legible on a phone."""
    figure, (axes,) = _panels(1, 1, 3.6, SMALL)
    for method in contenders(results):
        x, y, look = (
            share_interval(list(method.locality.values())),
            share_interval(list(method.success.values())),
            drawn[method.label],
        )
        axes.errorbar(
            *(_per_cent([x]), _per_cent([y]), _whiskers([y]), _whiskers([x])),
            fmt=look.marker, color=look.colour, ecolor=look.colour, elinewidth=1.0, capsize=2, markersize=8,
            label=method.label,
        )  # fmt: skip
    _frame(axes, "locality: other answers that stayed, % →", "success: what was to change, % →")
    _legend(figure)
    return figure


def bars(results: Results, phase: str, drawn: Mapping[str, Style]) -> Figure:
    """Means with intervals, a panel for each style; a dotted line where the unedited model is."""
    styles, methods = results.styles(phase), [method for method in results.scored[phase] if method.edited]
    figure, panels = _panels(len(styles), 1, 2.2)
    width = 0.8 / len(methods)
    for style, axes in zip(styles, panels, strict=True):
        for place, method in enumerate(methods):
            shown = [(x, method.means[style][s]) for x, s in enumerate(SECTIONS) if s in method.means.get(style, {})]
            at = [x + (place - (len(methods) - 1) / 2) * width for x, _ in shown]
            values = [value for _, value in shown]
            axes.bar(at, _per_cent(values), width * 0.92, label=method.label, color=drawn[method.label].colour)
            axes.errorbar(at, _per_cent(values), _whiskers(values), fmt="none", ecolor=INK, elinewidth=0.9, capsize=1.5)
        for method in (method for method in results.scored[phase] if not method.edited):
            for x, section in enumerate(SECTIONS):
                if section in method.means.get(style, {}):
                    level = 100 * method.means[style][section].mean
                    axes.hlines(level, x - 0.44, x + 0.44, INK, "dotted", linewidth=1.2, label="unedited model")
        measured = {measure for method in methods for measure in method.means.get(style, {})}
        for x in (x for x, section in enumerate(SECTIONS) if section not in measured):
            axes.annotate("no score", (x, 3), ha="center", color="#888888", fontsize=9)
        axes.set_xlim(-0.6, len(SECTIONS) - 0.4)
        axes.set_xticks(range(len(SECTIONS)), SECTIONS)
        axes.set_ylabel(f"{STYLES[style]}, %")
        axes.set_ylim(0, 105)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
    _legend(figure)
    return figure


def tradeoff(results: Results, drawn: Mapping[str, Style]) -> Figure:
    """What an editor writes against what it leaves alone, at the end; the best place is the upper right corner.

    Beside rewrite stands portability, or rephrase where nothing was asked of that kind.
    """
    phase = results.final_phase
    style = results.main_style(phase)
    edited = [method for method in results.scored[phase] if method.edited]
    asked = any("portability" in method.means.get(style, {}) for method in edited)
    figure, panels = _panels(1, 2, 4.2)
    for section, axes in zip(("rewrite", "portability" if asked else "rephrase"), panels, strict=True):
        for method in edited:
            means = method.means.get(style, {})
            if "locality" in means and section in means:
                x, y, look = means["locality"], means[section], drawn[method.label]
                axes.errorbar(
                    *(_per_cent([x]), _per_cent([y]), _whiskers([y]), _whiskers([x])),
                    fmt=look.marker,
                    color=look.colour,
                    ecolor=look.colour,
                    elinewidth=1.1,
                    capsize=2,
                    label=method.label,
                )
        _frame(axes, f"locality, {STYLES[style]}, %", f"{section}, {STYLES[style]}, %")
    _legend(figure)
    return figure


def course(results: Results, drawn: Mapping[str, Style]) -> Figure:
    """What is left of earlier edits, and of facts that are never edited, as edits accumulate."""
    style = results.main_style("retained")
    wanted = [("retained", style, section) for section in SECTIONS] + [("untouched", style, "locality")]
    shown = [place for place in (*wanted, ("retained", "teacher_forced", KNOWN)) if place in results.courses]
    figure, panels = _panels(-(-len(shown) // 2), 2, 2.5)
    for (phase, scored, section), axes in zip(shown, panels, strict=False):
        for label, steps in results.courses[phase, scored, section].items():
            look, values = drawn[label], list(steps.values())
            low, high = ([100 * getattr(value, end) for value in values] for end in ("low", "high"))
            axes.fill_between(list(steps), low, high, color=look.colour, alpha=0.15, linewidth=0)
            axes.plot(list(steps), _per_cent(values), look.marker + "-", color=look.colour, markersize=4, label=label)
        title = f"{section} of facts never edited" if phase == "untouched" else HEADINGS.get(section, section)
        axes.set_title(title, fontsize=10, color=INK)
        axes.set_xlabel("facts written")
        axes.set_ylabel(f"{STYLES[scored]}, %")
        axes.set_ylim(-3, 105)
        axes.grid(color=GRID, linewidth=0.7)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    _legend(figure)
    return figure


def cost(results: Results, drawn: Mapping[str, Style]) -> Figure:
    """Seconds and memory of an edit."""
    titles = {"edit_seconds": "seconds per edit, median", "peak_mib": "peak memory of an edit, MiB"}
    shown = [name for name in titles if any(name in figures for figures in results.figures.values())]
    labels = list(results.figures)
    figure, panels = _panels(1, len(shown), 0.9 + 0.34 * len(labels), sharey=True)
    for name, axes in zip(shown, panels, strict=True):
        values = {label: figures[name] for label, figures in results.figures.items() if name in figures}
        for label, value in values.items():
            place, look = labels.index(label), drawn[label]
            axes.plot(value.mean, place, look.marker, color=look.colour, markersize=8)
            axes.annotate(number(value.mean), (value.mean, place), (8, 0), textcoords="offset points", va="center")
        lowest, highest = (pick(value.mean for value in values.values()) for pick in (min, max))
        if lowest > 0 and highest > WIDE_RANGE * lowest:
            axes.set_xscale("log")
            axes.set_xlim(lowest / 2, highest * 3)
            axes.xaxis.set_major_formatter(lambda value, _: number(value))
        else:
            axes.set_xlim(0, max(highest, 1e-9) * 1.2)
        axes.set_xlabel(titles[name])
        axes.set_ylim(-0.6, len(labels) - 0.4)
        axes.set_yticks(range(len(labels)), labels)
        axes.grid(color=GRID, linewidth=0.7)
    panels[0].invert_yaxis()
    return figure


def _frame(axes: Axes, across: str, up: str) -> None:
    """Axes of two shares in per cent, which end where shares do."""
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.margins(0.08)
    axes.autoscale_view()
    for limits, limit in ((axes.get_xlim(), axes.set_xlim), (axes.get_ylim(), axes.set_ylim)):
        low, high = max(-3.0, limits[0]), min(103.0, limits[1])
        limit(min(low, high - LEAST_RANGE), high) if high > LEAST_RANGE else limit(low, low + LEAST_RANGE)
    axes.grid(color=GRID, linewidth=0.7)


def _panels(
    rows: int, columns: int, height: float, width: float = WIDTH, **options: Any
) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(width, max(rows * height, 1.2) + 0.9), layout="constrained")
    panels = list(np.ravel(figure.subplots(rows, columns, squeeze=False, **options)))
    for axes in panels:
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _legend(figure: Figure) -> None:
    """One legend for all panels, below them."""
    pairs = (zip(*axes.get_legend_handles_labels(), strict=True) for axes in figure.axes)
    named = {name: handle for legend in pairs for handle, name in legend}
    if named:
        letters = LEGEND_LETTERS * figure.get_figwidth() / WIDTH
        columns = min(5, max(1, int(letters / (max(map(len, named)) + 8))))
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": columns}
        figure.legend(list(named.values()), list(named), frameon=False, fontsize=9, **place)


def _per_cent(values: Sequence[Interval]) -> list[float]:
    return [100 * value.mean for value in values]


def _whiskers(values: Sequence[Interval]) -> np.ndarray:
    """How far intervals reach below and above their means: (2, values)."""
    reach = [[value.mean - value.low for value in values], [value.high - value.mean for value in values]]
    return 100 * np.maximum(reach, 0.0)
