"""Runs stand side by side only if their numbers mean the same."""

from __future__ import annotations

import pytest
from ledgers import FAIR, write_run

from easyedit_ice.bench.report import compare, read_run
from easyedit_ice.errors import IncomparableRunsError

MODEL = {"name": "gpt2-factworld", "dtype": "float32", "device": "cpu"}


def test_a_refusal_names_every_entry_that_differs_with_its_runs(tmp_path):
    one = write_run(tmp_path / "one", "ROME", size=3)
    evaluation = {"scorer": "easyedit", "generate": True, "max_new_tokens": 16}
    other = write_run(
        tmp_path / "two", "FT", size=3, model=MODEL | {"fingerprint": "cd" * 32}, evaluation=evaluation, host="head"
    )
    with pytest.raises(IncomparableRunsError) as refusal:
        compare([read_run(one), read_run(other)])
    message = str(refusal.value)
    assert "model.fingerprint: abababababab… in ROME (single) and cdcdcdcdcdcd… in FT (single)" in message
    assert "evaluation.scorer: batched in ROME (single) and easyedit in FT (single)" in message
    assert "host" not in message
    assert "--anyway" in message


def test_other_facts_are_refused(tmp_path):
    runs = [read_run(write_run(tmp_path / str(size), size=size)) for size in (2, 3)]
    with pytest.raises(IncomparableRunsError, match=r"data\.hash"):
        compare(runs)


def test_incomparable_runs_can_be_shown_anyway_and_say_so(tmp_path):
    runs = [read_run(write_run(tmp_path / str(size), size=size)) for size in (2, 3)]
    comparison = compare(runs, anyway=True)
    assert comparison.differences[0].startswith("data.hash: ")
    assert [run.label for run in comparison.runs] == ["ICE-LoRA (2)", "ICE-LoRA (3)"]


def test_keeping_answers_or_not_keeps_runs_comparable(tmp_path):
    evaluation = {"scorer": "batched", "generate": True, "max_new_tokens": 16, "answers": False}
    runs = [write_run(tmp_path / "a", "A", size=2), write_run(tmp_path / "b", "B", size=2, evaluation=evaluation)]
    assert not compare([read_run(run) for run in runs]).differences


def test_modes_get_groups_of_their_own_and_are_not_refused(tmp_path):
    modes = ("sequential", "single", "batch")
    runs = [read_run(write_run(tmp_path / mode, mode=mode, size=3, untouched=mode == "sequential")) for mode in modes]
    comparison = compare(runs)
    assert [group.name for group in comparison.groups] == ["single", "batch of 10", "sequential"]
    assert comparison.labels == ("ICE-LoRA",)


def test_streams_with_other_untouched_facts_are_refused(tmp_path):
    runs = [read_run(write_run(tmp_path / str(n), str(n), mode="sequential", size=3, untouched=n)) for n in (1, 2)]
    with pytest.raises(IncomparableRunsError, match=r"data\.untouched: 1 in 1 \(sequential\) and 2 in 2"):
        compare(runs)


def test_other_hosts_versions_and_seeds_are_notes(tmp_path):
    one = write_run(tmp_path / "a", "A", size=2)
    other = write_run(
        tmp_path / "b", "B", FAIR, size=2, host="EasyEdit head 14cea82", seed=1, versions={"torch": "2.12.0"}
    )
    notes = " ".join(compare([read_run(one), read_run(other)]).notes)
    assert "host: EasyEdit release 0.0.1.dev0 in A (single) and EasyEdit head 14cea82 in B (single)" in notes
    assert "seed: 0 in A (single) and 1 in B (single)" in notes
    assert "versions.torch: 2.13.0 in A (single) and 2.12.0 in B (single)" in notes


def test_unfinished_runs_and_failed_facts_are_notes(tmp_path):
    run = read_run(write_run(tmp_path / "a", "A", size=6, done=4, failed=[1, 2]))
    notes = compare([run]).notes
    assert notes[0] == "A (single) is unfinished: 4 of 6 facts; its means are over what it has"
    assert notes[1].endswith("failed on 2 of 6 facts, which are left out of its means: SubjectNotFoundError 2×")


def test_runs_of_one_label_are_told_apart_by_their_folders(tmp_path):
    folders = [tmp_path / "x" / "rank=4", tmp_path / "x" / "rank=8", tmp_path / "y" / "ROME"]
    names = ["ICE-LoRA", "ICE-LoRA", "ROME"]
    runs = [read_run(write_run(folder, name, size=2)) for folder, name in zip(folders, names, strict=True)]
    assert compare(runs).labels == ("ICE-LoRA (rank=4)", "ICE-LoRA (rank=8)", "ROME")


def test_no_runs_are_refused():
    with pytest.raises(IncomparableRunsError, match="no runs"):
        compare([])
