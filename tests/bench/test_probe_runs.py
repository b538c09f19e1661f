"""Runs that ask probes: in their ledgers, and in reports."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import STREAM, configured, lines_of

from easyedit_ice.bench.report import compare, read_run, write_report
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.errors import IncomparableRunsError, RunConfigError

SHORT = ("verbosity=quiet", "data.size=2", "evaluation=fast")
PROBES = "evaluation.probes=[choice,negation,dialogue]"
NAMES = {"choice", "negation", "dialogue"}


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompted")
    return run(configured("algorithm=Prompt", *SHORT, PROBES), folder)


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that asks no probes."""
    return run(configured("algorithm=Prompt", *SHORT), tmp_path_factory.mktemp("without"))


def test_every_probe_is_a_measure_of_its_own(prompted: Path) -> None:
    for line in lines_of(prompted):
        if line["phase"] in ("before", "immediate"):
            assert line["scores"]["probe"].keys() == NAMES
            assert set(line["scores"]["probe"].values()) <= {0, 1}
            kinds = [own["measure"] for own in line["answers"] if own["measure"].startswith("probe.")]
            assert sorted(kinds) == sorted(f"probe.{name}" for name in NAMES)


def test_the_unedited_model_is_asked_what_it_can_answer_at_all(prompted: Path) -> None:
    lines = lines_of(prompted)
    before = [line["scores"] for line in lines if line["phase"] == "before"]
    after = [line["scores"] for line in lines if line["phase"] == "immediate"]
    assert all(own["probe_told"].keys() == own["probe_old"].keys() == NAMES for own in before)
    assert [own["probe_told"] for own in before] == [own["probe"] for own in after]
    assert all(own["probe_old"]["choice"] == 1 and own["probe"]["choice"] == 0 for own in before)
    assert all("probe_told" not in own for own in after)


def test_in_a_stream_probes_are_asked_again_at_the_end(tmp_path: Path) -> None:
    folder = run(configured("algorithm=LoRA-BF", *STREAM, *SHORT[1:], "data.untouched=1", PROBES), tmp_path)
    asked = {line["phase"]: "probe" in line["scores"] for line in lines_of(folder) if "scores" in line}
    assert asked == {"before": True, "immediate": True, "retained": True, "untouched": False}


def test_without_the_setting_a_ledger_has_no_word_of_probes(without: Path) -> None:
    assert "probe" not in (without / "ledger.jsonl").read_text()


def test_a_report_says_of_each_probe_whether_the_model_can_answer_it(prompted: Path, tmp_path: Path) -> None:
    write_report(compare([read_run(prompted)]), tmp_path, ["md", "csv", "html", "tex"])
    text = (tmp_path / "report.md").read_text()
    table = text[text.index("### Probes") :]
    split = ([cell.strip() for cell in row.split("|")] for row in table[: table.index("\n###", 1)].splitlines())
    rows = {cells[1]: cells[2:-1] for cells in split if len(cells) > 2}
    assert rows["method"] == ["choice", "negation", "dialogue"]
    assert rows["by guessing"] == ["25", "50", "25"]
    assert rows["can the model answer?"][:2] == ["yes", "no"]
    assert rows["Prompt"] == rows["unedited model, told the new fact"]
    assert "right if the old answer is likelier than the new one" in table
    scores = (tmp_path / "scores.csv").read_text()
    assert "Prompt,single,immediate,,probe,choice,1," in scores
    assert '"unedited model, of old facts",single,before,,probe,choice,1,' in scores


def test_reports_without_probes_have_no_table_of_them(without: Path, tmp_path: Path) -> None:
    write_report(compare([read_run(without)]), tmp_path, ["md"])
    assert "Probes" not in (tmp_path / "report.md").read_text()


def test_runs_with_other_probes_are_not_compared(prompted: Path, without: Path) -> None:
    with pytest.raises(IncomparableRunsError, match=r"evaluation\.probes"):
        compare([read_run(prompted), read_run(without, "plain")])


def test_runs_whose_probes_are_drawn_by_other_seeds_are_not_compared(prompted: Path, tmp_path: Path) -> None:
    other = run(configured("algorithm=Prompt", *SHORT, PROBES, "seed=1", "label=other"), tmp_path)
    with pytest.raises(IncomparableRunsError, match=r"data\.probes"):
        compare([read_run(prompted), read_run(other)])


def test_an_unknown_probe_ends_a_run_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(RunConfigError, match="there is no probe 'negated'"):
        run(configured("algorithm=Prompt", *SHORT, "evaluation.probes=[negated]"), tmp_path / "none")
    assert not (tmp_path / "none").exists()
