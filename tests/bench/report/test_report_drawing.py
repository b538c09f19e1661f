"""Methods can be told apart in plots, however many there are and however long their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ledgers import FAIR, rewrite_lines, write_run
from matplotlib.figure import Figure

from easyedit_ice.bench.report import compare, read_run
from easyedit_ice.bench.report.analysis import analyse
from easyedit_ice.bench.report.charts import _legend, drawn_as, tradeoff


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


@pytest.mark.parametrize(("asked", "beside"), [(True, "portability"), (False, "rephrase")])
def test_locality_is_set_against_what_was_asked(tmp_path: Path, asked: bool, beside: str) -> None:
    """CounterFact asks nothing of portability."""

    def without(line: Any) -> Any:
        for scores in line.get("scores", {}).values():
            for measure in [name for name in scores if name.startswith("portability") and not asked]:
                del scores[measure]
        return line

    write_run(tmp_path / "ROME", "ROME", FAIR)
    rewrite_lines(tmp_path / "ROME", without)
    (results,) = analyse(compare([read_run(tmp_path / "ROME")]))
    figure = tradeoff(results, drawn_as(["ROME"]))
    assert [axes.get_ylabel().partition(",")[0] for axes in figure.axes] == ["rewrite", beside]
