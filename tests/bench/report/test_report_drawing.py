"""Methods can be told apart in plots, however many there are and however long their names."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from easyedit_ice.bench.report.drawing import _legend, drawn_as


def test_no_two_of_many_methods_are_drawn_alike() -> None:
    drawn = drawn_as([f"method {number}" for number in range(40)])
    assert len(set(drawn.values())) == 40


@pytest.mark.parametrize("words", ["FT", "FastMEMIT dynamic_multiplier=10 mom2_correction=False", "x" * 90])
def test_a_legend_fits_into_its_figure(words: str) -> None:
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    axes = figure.subplots()
    for number in range(13):
        axes.plot([0], [0], label=f"{words} {number}")
    _legend(figure)
    figure.draw_without_rendering()
    extent = figure.legends[0].get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.width
