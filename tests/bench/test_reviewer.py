"""The reviewer's table, as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import lines_of

from easyedit_ice.bench import reviewer
from easyedit_ice.bench.reviewer import is_asked
from easyedit_ice.bench.running.trial import Trial
from easyedit_ice.cli import main

NAMED = ("run", "--config-name", "reviewer")
LITTLE = (
    *("data.size=2", "orders=2", "evaluation.probes=[choice]", "evaluation.generate=false"),
    *("evaluation.known_facts=2", "evaluation.drift_texts=2"),
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("table") / "out"
    assert main([*NAMED, *LITTLE, "algorithm=Prompt,Retrieval", "algorithm.hparams.top=1", f"out={folder}"]) == 0
    return folder


def written(folder: Path) -> list[str]:
    return [line["case"]["prompt"] for line in lines_of(folder) if line["phase"] == "immediate"]


def test_the_table_has_single_edits_streams_of_several_orders_and_one_report(table: Path) -> None:
    streams = [table / "stream" / f"order-{order}" / "Retrieval" for order in (0, 1)]
    assert {*written(table / "single/Retrieval")} == {*written(streams[0])} == {*written(streams[1])}
    assert len(written(streams[0])) == 2
    assert all(line["scores"]["probe"] for line in lines_of(streams[1]) if line["phase"] == "retained")
    page = (table / "report/report.html").read_text()
    assert all(f'id="{part}"' in page for part in ("single", "sequential-order-0", "sequential-order-1"))


def test_a_method_that_does_not_run_is_left_out_and_named_and_the_others_are_not(table: Path) -> None:
    assert not (table / "single/Prompt").exists()  # it has no setting top


def test_the_same_command_goes_on_and_tries_nothing_again(
    table: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reviewer, "try_out", lambda config: pytest.fail(f"{config.algorithm.name} was tried again"))
    (table / "stream/order-1/Retrieval/ledger.jsonl").unlink()
    assert main([*NAMED, *LITTLE, "algorithm=Retrieval", "algorithm.hparams.top=1", f"out={table}"]) == 0
    assert len(written(table / "stream/order-1/Retrieval")) == 2
    said = capfd.readouterr().out
    assert " in all of the 2 tests that this model can answer" in said
    assert "sequential, order 1" in said


def test_a_table_that_takes_days_wants_to_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reviewer, "try_out", lambda config: Trial(config.algorithm.name, fact=600.0, start=5.0))
    assert main([*NAMED, "algorithm=Prompt,Retrieval", "data.size=50", f"out={tmp_path / 'no'}"]) == 2
    said = capfd.readouterr().err
    assert "50 facts by 2 methods" in said
    assert "take about 3 d 19 h" in said
    assert "confirm=true" in said
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("50", "'50' is no setting; write NAME=VALUE"),
        ("-m", "-m: the reviewer's table is two sweeps already"),
        ("--config-dir=here", "takes no flag but --config-name; leave it out"),
        ("mode=batch", "sets mode by itself"),
        ("data.order=3", "sets data.order by itself"),
        ("orders=0", "orders is 0; it must be from 1"),
        ("data.size=0", "data.size is 0; it must be at least 1"),
        ("data.size=null", "data.size is null, and how long the table takes depends on it"),
        ("--config-name=reviewr", "Did you mean 'reviewer'?"),
        ("algorithm=Promt", "Did you mean 'Prompt'?"),
        ("order=2", "Did you mean 'orders'?"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_tried(
    typed: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reviewer, "try_out", lambda config: pytest.fail("was tried"))
    named = NAMED[:1] if typed.startswith("--config-name") else NAMED
    assert main([*named, typed, f"out={tmp_path / 'no'}"]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("typed", [["--config-name", "reviewer"], ["--config-name=reviewer"], ["-cn", "reviewer"]])
def test_the_table_is_asked_for_by_hydras_flag_and_not_where_help_is(typed: list[str]) -> None:
    assert is_asked(typed)
    assert not is_asked([*typed, "--cfg", "job"])
    assert not is_asked(["algorithm=Prompt"])


def test_a_method_that_is_named_twice_is_run_once() -> None:
    assert reviewer._split(["algorithm=Prompt,Retrieval,Prompt"])[0] == ("Prompt", "Retrieval")


def test_its_settings_can_be_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*NAMED, "--cfg", "job"]) == 0
    said = capfd.readouterr().out
    assert "orders: 3" in said
    assert "- all" in said
