"""Folders of runs are read as far as they got, and no further."""

from __future__ import annotations

import pytest
from ledgers import rewrite_lines, write_run

from easyedit_ice.bench.report import find_runs, read_run
from easyedit_ice.errors import LedgerError


def test_a_finished_run_is_read_whole(tmp_path):
    run = read_run(write_run(tmp_path / "run", "ROME", size=5))
    assert (run.label, run.mode, run.state) == ("ROME", ("single", 1, -1), "finished")
    assert (run.facts, run.written, run.failed, run.cut_off) == (5, 5, 0, False)
    assert [line["position"] for line in run.at("immediate")] == [0, 1, 2, 3, 4]


def test_a_run_that_was_killed_says_how_far_it_got(tmp_path):
    assert read_run(write_run(tmp_path / "run", size=5, done=3)).state == "unfinished: 3 of 5 facts"


def test_a_stream_that_was_not_asked_again_at_its_end_is_unfinished(tmp_path):
    folder = write_run(tmp_path / "run", mode="sequential", size=4, retain_every=2)
    ledger = folder / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if '"retained"' in line)
    ledger.write_text("".join(lines[:last]))
    run = read_run(folder)
    assert run.state.startswith("unfinished: 4 of 4 facts, not all asked again")
    assert run.steps == (2,)
    assert {line["step"] for line in run.at("retained")} == {2}


def test_facts_a_method_failed_on_count_as_done(tmp_path):
    run = read_run(write_run(tmp_path / "run", size=5, failed=[1, 3]))
    assert (run.written, run.failed, run.state) == (3, 2, "finished")


def test_a_line_cut_off_by_a_kill_is_left_out_and_told_of(tmp_path):
    folder = write_run(tmp_path / "run", size=3)
    ledger = folder / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-20])
    run = read_run(folder)
    assert run.cut_off
    assert run.state == "unfinished: 2 of 3 facts"


def test_a_broken_line_in_the_middle_is_refused_by_its_number(tmp_path):
    folder = write_run(tmp_path / "run", size=3)
    ledger = folder / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join([lines[0], lines[1][:30] + "\n", *lines[2:]]))
    with pytest.raises(LedgerError, match=r"line 2 of .*ledger\.jsonl"):
        read_run(folder)


def test_a_line_without_scores_is_refused_by_its_number(tmp_path):
    folder = write_run(tmp_path / "run", size=3)
    rewrite_lines(folder, lambda line: {key: value for key, value in line.items() if key != "scores"})
    with pytest.raises(LedgerError, match=r"line 1 of .* has no scores"):
        read_run(folder)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(LedgerError, match=r"no manifest\.json"):
        read_run(tmp_path)


def test_a_manifest_of_something_else_is_refused_with_what_it_lacks(tmp_path):
    (tmp_path / "manifest.json").write_text('{"algorithm": "ROME", "mode": {"name": "single"}}')
    with pytest.raises(LedgerError, match=r"has no model, data\.facts, evaluation"):
        read_run(tmp_path)


def test_a_run_that_has_written_nothing_yet_is_read(tmp_path):
    folder = write_run(tmp_path / "run", size=4)
    (folder / "ledger.jsonl").unlink()
    assert read_run(folder).state == "unfinished: 0 of 4 facts"


def test_runs_are_found_below_a_folder_each_once_and_by_name(tmp_path):
    second = write_run(tmp_path / "runs" / "b" / "ROME", "ROME", size=2)
    first = write_run(tmp_path / "runs" / "a", size=2)
    write_run(first / "checkpoint", size=2)
    assert find_runs([tmp_path / "runs", first]) == [first, second]


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="no run at or below"):
        find_runs([tmp_path])
