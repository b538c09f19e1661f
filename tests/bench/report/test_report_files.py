"""The files of a report say what the ledgers say, in every form alike."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from statistics import fmean, harmonic_mean, median

import numpy as np
import pandas as pd
import pytest
from ledgers import FAIR, GOOD, POOR, rewrite_lines, write_run
from matplotlib.image import imread

from easyedit_ice.bench.report import FORMATS, compare, find_runs, read_run, write_report
from easyedit_ice.bench.report.latex import escaped
from easyedit_ice.errors import RunConfigError

STREAM = {"mode": "sequential", "retain_every": 4, "untouched": 3}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three methods in two modes; ROME fails on a fact."""
    folder = tmp_path_factory.mktemp("runs")
    for label, quality in {"ICE-LoRA": GOOD, "ROME": FAIR, "FT": POOR}.items():
        failed = [3] if label == "ROME" else []
        write_run(folder / "single" / label, label, quality, failed=failed)
        write_run(folder / "sequential" / label, label, quality, failed=failed, fade=0.4, **STREAM)
    return folder


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    """The folder of a report on them in every form."""
    folder = tmp_path_factory.mktemp("report")
    write_report(_compared(runs), folder)
    return folder


def _compared(runs):
    return compare([read_run(folder) for folder in find_runs([runs])])


def _lines(folder, phase):
    lines = map(json.loads, (folder / "ledger.jsonl").read_text().splitlines())
    return [line for line in lines if line["phase"] == phase]


def _table(markdown, title, mode):
    """Rows of a Markdown table, words that are not repeated filled in."""
    section = markdown.partition(f"## {mode}\n")[2].partition(f"### {title}\n\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines()]
    for above, row in pairwise(rows):
        row[0] = row[0] or above[0]
    return rows[2:]


def test_every_form_is_written_and_listed(runs, tmp_path):
    names = {path.name for path in write_report(_compared(runs), tmp_path / "deep" / "report")}
    assert names == {path.name for path in (tmp_path / "deep" / "report").iterdir()}
    plots = {f"{mode}-{plot}.png" for mode in ("single", "sequential") for plot in ("immediate", "tradeoff", "cost")}
    plots |= {f"sequential-{plot}.png" for plot in ("retained", "untouched", "course")}
    assert names == {"report.md", "scores.csv", "differences.csv", "tables.tex", "report.html"} | plots


def test_markdown_shows_means_over_facts_in_per_cent(runs, report):
    rows = _table((report / "report.md").read_text(), "Scores right after the edit", "Single")
    [row] = [row for row in rows if row[:2] == ["generated", "ROME"]]
    lines = _lines(runs / "single" / "ROME", "immediate")
    scores = [line["scores"]["generated"] for line in lines]
    kinds = [[value for measure, value in own.items() if measure.startswith("portability.")] for own in scores]
    assert row[2].startswith(f"{100 * fmean(own['rewrite'] for own in scores):.1f} [")
    assert row[4].startswith(f"{100 * fmean(fmean(own) for own in kinds if own):.1f} [")


def test_the_score_is_of_the_shown_means(report):
    rows = _table((report / "report.md").read_text(), "Scores right after the edit", "Single")
    [row] = [row for row in rows if row[:2] == ["probability", "FT"]]
    rewrite, rephrase, _, locality, score = (float(cell.split()[0]) if cell != "–" else None for cell in row[2:])
    assert score == pytest.approx(harmonic_mean([rewrite, rephrase, locality]), abs=0.1)


def test_retained_scores_are_those_after_the_last_edit(runs, report):
    rows = _table((report / "report.md").read_text(), "Scores after the last edit", "Sequential")
    [row] = [row for row in rows if row[:2] == ["generated", "ICE-LoRA"]]
    lines = [line for line in _lines(runs / "sequential" / "ICE-LoRA", "retained") if line["step"] == 12]
    assert row[2].startswith(f"{100 * fmean(line['scores']['generated']['rewrite'] for line in lines):.1f} [")


def test_the_unedited_model_stands_above_the_methods(report):
    markdown = (report / "report.md").read_text()
    for mode, title in (("Single", "Scores right after the edit"), ("Sequential", "Scores after the last edit")):
        rows = _table(markdown, title, mode)
        assert [row[1] for row in rows if row[0] == "generated"] == ["unedited model", "FT", "ICE-LoRA", "ROME"]
    [before] = [row for row in rows if row[:2] == ["generated", "unedited model"]]
    assert before[5] == "–"


def test_cost_and_failures_are_shown(runs, report):
    rows = _table((report / "report.md").read_text(), "Cost and side effects", "Sequential")
    [row] = [row for row in rows if row[0] == "ROME"]
    assert row[1:4] == ["11", "1", "1"]
    perplexity, kl, norm, relative = row[5:9]
    assert (perplexity, kl, norm, relative) == ("16.8", "0.4", "1.73", "3.46")
    edits = _lines(runs / "sequential" / "ROME", "immediate")
    seconds = [line["cost"]["edit_seconds"] for line in edits if "cost" in line]
    assert float(row[9]) == pytest.approx(median(seconds), abs=0.05)
    assert row[10] == "96"


def test_differences_are_called_by_name_or_ties(runs, report):
    markdown = (report / "report.md").read_text()
    rows = _table(markdown, "Differences between methods, right after the edit", "Single")
    assert {len(row) for row in rows} == {7}
    assert {row[2] for row in rows} == {"FT − ICE-LoRA", "FT − ROME", "ICE-LoRA − ROME"}
    for row in rows:
        low, high = map(float, re.search(r"\[(.*), (.*)\]", row[4]).groups())
        assert (row[3] == "tie") == (low <= 0 <= high)
    assert {row[6] for row in rows if "ROME" in row[2]} == {"11"}


def test_csv_holds_every_number_once(report):
    scores = pd.read_csv(report / "scores.csv")
    assert list(scores.columns) == ["run", "mode", "phase", "step", "style", "measure", "mean", "low", "high", "facts"]
    keys = ["run", "mode", "phase", "step", "style", "measure"]
    assert not scores.duplicated(keys).any()
    shares = scores[scores["style"] != "figure"]
    assert shares["mean"].between(0, 1).all()
    assert (shares["low"] <= shares["mean"] + 1e-6).all() and (shares["mean"] <= shares["high"] + 1e-6).all()
    course = shares.query("run == 'FT' and phase == 'retained' and style == 'generated' and measure == 'rewrite'")
    assert sorted(course["step"]) == [4, 8, 12]


def test_csv_and_markdown_agree(report):
    scores = pd.read_csv(report / "scores.csv")
    rows = _table((report / "report.md").read_text(), "Scores right after the edit", "Single")
    for style, method, rewrite, *_ in rows:
        phase = "before" if method == "unedited model" else "immediate"
        chosen = scores[(scores["run"] == method) & (scores["mode"] == "single") & (scores["phase"] == phase)]
        [value] = chosen[(chosen["style"] == style.replace("-", "_")) & (chosen["measure"] == "rewrite")]["mean"]
        assert rewrite.startswith(f"{100 * value:.1f} [")


def test_latex_tables_are_well_formed_and_escaped(report):
    text = (report / "tables.tex").read_text()
    assert text.count("\\begin{table*}") == text.count("\\end{table*}") == 6
    assert text.count("\\toprule") == text.count("\\bottomrule") == 6
    for columns, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n\\toprule\n(.*?)\\bottomrule", text, re.DOTALL):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
    assert not re.search(r"(?<!\\)%(?! needs)", text)
    assert escaped(r"50 % of a_b & \x~<") == r"50 \% of a\_b \& \textbackslash{}x\textasciitilde{}$<$"


def test_plots_are_pictures_of_some_size(report):
    for path in report.glob("*.png"):
        height, width, _ = imread(path).shape
        assert width > 1000 and height > 250
        assert np.ptp(imread(path)[..., :3]) > 0.5


def test_equal_runs_give_equal_files(runs, report, tmp_path):
    code = (
        "import sys; from easyedit_ice.bench.report import *; "
        "write_report(compare([read_run(f) for f in find_runs(sys.argv[1:2])]), sys.argv[2], ['md', 'csv', 'tex'])"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code, str(runs), str(tmp_path)], check=True, env=environment)
    for name in ("scores.csv", "differences.csv", "tables.tex"):
        assert (tmp_path / name).read_bytes() == (report / name).read_bytes()
    without_plots = re.sub(r"!\[.*\n\n", "", (report / "report.md").read_text())
    assert (tmp_path / "report.md").read_text() == without_plots


def test_markdown_links_only_to_plots_that_are_there(runs, report, tmp_path):
    assert all((report / name).exists() for name in re.findall(r"\]\((.*?\.png)\)", (report / "report.md").read_text()))
    write_report(_compared(runs), tmp_path, ["md"])
    assert ".png" not in (tmp_path / "report.md").read_text()


def test_names_with_markup_stay_text_in_markdown(tmp_path):
    run = read_run(write_run(tmp_path / "run", size=3), label="a|b*<i>")
    write_report(compare([run]), tmp_path, ["md"])
    assert r"a\|b\*&lt;i>" in (tmp_path / "report.md").read_text()


def test_a_run_whose_every_fact_failed_is_reported(tmp_path):
    run = read_run(write_run(tmp_path / "run", size=2, failed=[0, 1]))
    write_report(compare([run]), tmp_path / "report")
    assert "| ICE-LoRA | 0 | 2 |" in (tmp_path / "report" / "report.md").read_text()


def test_a_run_that_only_has_teacher_forced_scores_is_reported(tmp_path):
    def bare(line):
        line["scores"] = {"teacher_forced": line["scores"]["teacher_forced"]}
        return {key: value for key, value in line.items() if key not in ("fluency", "answers", "update", "cost")}

    folder = write_run(tmp_path / "run", size=4)
    rewrite_lines(folder, bare)
    write_report(compare([read_run(folder)]), tmp_path / "report")
    scores = pd.read_csv(tmp_path / "report" / "scores.csv")
    assert set(scores["style"]) == {"teacher_forced"}
    assert not (tmp_path / "report" / "single-cost.png").exists()


def test_differences_csv_is_empty_but_readable_for_one_method(tmp_path):
    write_report(compare([read_run(write_run(tmp_path / "run", size=2))]), tmp_path, ["csv"])
    assert pd.read_csv(io.StringIO((tmp_path / "differences.csv").read_text())).empty


def test_streams_that_stopped_early_are_not_compared_with_longer_ones(tmp_path):
    write_run(tmp_path / "a", "A", size=8, mode="sequential", retain_every=4)
    write_run(tmp_path / "b", "B", size=8, mode="sequential", retain_every=4, done=6)
    write_report(_compared(tmp_path), tmp_path / "report", ["csv"])
    phases = set(pd.read_csv(tmp_path / "report" / "differences.csv")["phase"])
    assert phases == {"immediate"}


def test_runs_of_different_models_shown_anyway_keep_their_own_baselines(tmp_path):
    model = {"name": "other", "fingerprint": "cd" * 32, "dtype": "float32", "device": "cpu"}
    folders = [write_run(tmp_path / "a", "A", size=3), write_run(tmp_path / "b", "B", size=3, model=model)]
    write_report(compare([read_run(folder) for folder in folders], anyway=True), tmp_path, ["md"])
    text = (tmp_path / "report.md").read_text()
    assert "**These runs are not comparable.**" in text
    assert "unedited (A)" in text and "unedited (B)" in text


@pytest.mark.parametrize("formats", [["md", "pdf"], []])
def test_unknown_formats_are_refused_with_the_known_ones(runs, tmp_path, formats):
    with pytest.raises(RunConfigError, match=", ".join(FORMATS)):
        write_report(_compared(runs), tmp_path, formats)


def test_what_the_first_edit_after_a_start_costs_is_not_the_methods(tmp_path):
    def first_is_dear(line):
        if line["phase"] == "immediate" and line["position"] == 0:
            line["cost"] = {"edit_seconds": 900.0, "evaluation_seconds": 1.0, "peak_mib": 9000.0, "first": True}
        return line

    for size, seconds, peak in ((2, "9.13", "91"), (1, "900", "9000")):
        folder = write_run(tmp_path / str(size), size=size)
        rewrite_lines(folder, first_is_dear)
        comparison = compare([read_run(folder)])
        write_report(comparison, tmp_path / f"report{size}", ["md"])
        [row] = [
            row
            for row in _table((tmp_path / f"report{size}/report.md").read_text(), "Cost and side effects", "Single")
            if row[0] == "ICE-LoRA"
        ]
        assert row[-2:] == [seconds, peak]
        assert any("of first edits" in note for note in comparison.notes) == (size == 1)
