"""What a report says first: which methods' knowledge survives what."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ledgers import write_run
from matplotlib.colors import to_hex
from matplotlib.text import Text
from probed_runs import write_table

from easyedit_ice.bench.report import compare, read_run, write_report
from easyedit_ice.bench.report.analysis import analyse
from easyedit_ice.bench.report.survival import Survival, survival
from easyedit_ice.bench.report.survival_chart import COLOURS, survival_chart

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("survival")
    runs = write_table(folder)
    write_report(compare([read_run(run) for run in runs]), folder / "report", ["html", "md"])
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> Survival:
    runs = sorted(path.parent for path in folder.rglob("manifest.json"))
    survived = survival(analyse(compare([read_run(run) for run in runs])))
    assert survived is not None
    return survived


def verdicts(found: Survival, label: str) -> dict[str, str]:
    (row,) = [row for row in found.rows if row.label == label]
    return {name: cell.verdict for name, cell in row.cells.items() if cell.verdict}


def test_a_method_holds_fades_or_is_no_better_than_guessing_in_each_test(found: Survival) -> None:
    assert set(verdicts(found, "Prompt").values()) == {"holds"}
    assert verdicts(found, "Retrieval")["long"] == "gone"
    assert verdicts(found, "FastMEMIT") == {
        **{"choice": "holds", "reversed": "gone", "contradicting": "gone", "long": "fades", "dialogue": "holds"},
        **{"irrelevant": "holds", "stream": "holds"},
    }
    assert verdicts(found, "ROME")["stream"] == "gone"


def test_a_stream_is_judged_by_the_mean_over_its_orders(found: Survival) -> None:
    (row,) = [row for row in found.rows if row.label == "FastMEMIT"]
    assert row.cells["stream"].share.mean == pytest.approx((27 + 26) / 2 / 30)
    assert "streams in 2 orders" in found.circumstances


def test_a_test_that_the_unedited_model_cannot_answer_judges_nobody_and_says_so(found: Survival) -> None:
    silent = {test.name for test in found.tests if not test.says}
    assert silent == {"letters", "negation", "yes_no", "leaning"}
    assert all(not silent & set(verdicts(found, row.label)) for row in found.rows)
    said = "A to D, negation, yes or no and leaning to yes: say nothing here"
    assert any(sentence.startswith(said) for sentence in found.sentences)


def test_methods_stand_by_whose_they_are(found: Survival) -> None:
    parts = {whose: [row.label for row in rows] for whose, rows in found.parts}
    assert parts == {"in the question": ["Prompt", "Retrieval"], "easyedit_ice": ["FastMEMIT"], "EasyEdit": ["ROME"]}


def test_undo_that_left_something_is_marked(found: Survival) -> None:
    assert {row.label: row.undo for row in found.rows} == {
        **{"Prompt": True, "Retrieval": True, "FastMEMIT": True},
        "ROME": False,
    }


def test_the_first_sentence_names_who_holds_everywhere(found: Survival, folder: Path) -> None:
    assert found.first == "Prompt holds in all of the 7 tests that this model can answer."
    assert all(found.first in (folder / "report" / file).read_text() for file in ("report.md", "report.html"))


def test_where_nobody_beats_guessing_the_first_sentence_says_so(folder: Path) -> None:
    runs = [read_run(folder / "single" / name) for name in ("FastMEMIT", "ROME")]
    survived = survival(analyse(compare(runs)))
    assert survived is not None
    assert survived.first.startswith("No method holds in each of the 6 tests")
    assert "In reversed and contradicted nobody is better than by guessing." in survived.first


def test_reports_of_runs_without_probes_have_no_such_part(tmp_path: Path) -> None:
    comparison = compare([read_run(write_run(tmp_path / "plain", size=3))])
    assert survival(analyse(comparison)) is None
    write_report(comparison, tmp_path / "report", ["html", "md"])
    assert "What survives" not in (tmp_path / "report/report.html").read_text()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 390])
def test_the_table_fits_the_screen_and_every_number_its_cell(folder: Path, width: int) -> None:
    if CHROMIUM is None:
        pytest.skip("needs a Chromium: none is on the path, and $CHROMIUM names none")
    with pytest.importorskip("playwright.sync_api").sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 844})
        page.goto(f"file://{folder / 'report/report.html'}")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("document.querySelector('table.survival').getBoundingClientRect().right") <= width
        spilt = (
            "[...document.querySelectorAll('.survival td')].filter((cell) => cell.scrollWidth > cell.clientWidth + 1)"
        )
        assert page.evaluate(f"{spilt}.length") == 0
        assert page.locator("#survival").bounding_box()["y"] < page.locator("#verdict").bounding_box()["y"]
        browser.close()


def test_the_picture_has_every_method_in_every_test_that_says_something(found: Survival) -> None:
    figure = survival_chart(found)
    figure.draw_without_rendering()
    assert [" ".join(axes.get_title().split()) for axes in figure.axes] == [
        test.heading for test in found.tests if test.says
    ]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [
        "unedited model",
        *(row.label for row in found.rows),
    ]
    for test, axes in zip((test for test in found.tests if test.says), figure.axes, strict=True):
        shown = {round(bar.get_y() + bar.get_height() / 2, 3): bar for bar in axes.patches}
        for row, place in zip(found.rows, axes.get_yticks()[1:], strict=True):
            cell = row.cells[test.name]
            assert shown[round(place, 3)].get_width() == pytest.approx(100 * cell.share.mean)
            assert to_hex(shown[round(place, 3)].get_facecolor()).upper() == COLOURS[cell.verdict]
    width, height = figure.bbox.width, figure.bbox.height
    for text in figure.findobj(Text):
        extent = text.get_window_extent()
        assert not text.get_text() or (extent.x0 >= 0 and extent.y0 >= 0 and extent.x1 <= width and extent.y1 <= height)


def test_the_picture_lies_beside_the_report(tmp_path: Path) -> None:
    runs = write_table(tmp_path / "runs")
    write_report(compare([read_run(run) for run in runs]), tmp_path / "report", ["md", "png"])
    assert (tmp_path / "report" / "survival.png").exists()
    assert "](survival.png)" in (tmp_path / "report" / "report.md").read_text()
