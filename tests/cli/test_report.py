"""``easyedit-ice report``, as it is typed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from easyedit_ice.cli import report
from easyedit_ice.errors import IncomparableRunsError, LedgerError, RunConfigError

SCORES = {"teacher_forced": {"rewrite": 1.0, "locality.Forgetfulness": 0.5}}


def _run(folder: Path, label: str, fingerprint: str = "ab") -> Path:
    folder.mkdir(parents=True)
    manifest = {
        "algorithm": label,
        "mode": {"name": "single", "batch_size": 1},
        "model": {"fingerprint": fingerprint},
        "data": {"hash": "cd", "facts": 1},
        "evaluation": {"scorer": "batched"},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    case = {"prompt": "The capital is", "subject": "capital", "target_new": "Rome", "ground_truth": None, "index": 0}
    place = {"position": 0, "case": case, "scores": SCORES}
    lines = [{"phase": "before", "step": 0, **place}, {"phase": "immediate", "step": 1, **place}]
    (folder / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _report(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    report.configure(parser)
    return report.run(parser.parse_args([str(argument) for argument in arguments]))


def test_it_prints_the_files_it_wrote(tmp_path, capsys):
    _run(tmp_path / "runs" / "ROME", "ROME")
    assert _report(tmp_path / "runs", "--out", tmp_path / "out", "--formats", "md,csv") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("compared: single, ")
    assert printed[1:] == [str(tmp_path / "out" / name) for name in ("report.md", "scores.csv", "differences.csv")]
    assert all(Path(line).is_file() for line in printed[1:])


def test_it_prints_what_a_reader_must_know(tmp_path, capsys):
    folders = [_run(tmp_path / "a", "A"), _run(tmp_path / "b", "B", fingerprint="ef")]
    with pytest.raises(IncomparableRunsError, match=r"model\.fingerprint"):
        _report(*folders, "--out", tmp_path / "out", "--formats", "md")
    assert not (tmp_path / "out").exists()
    assert _report(*folders, "--out", tmp_path / "out", "--formats", "md", "--anyway") == 0
    assert (
        "not comparable, shown anyway: model.fingerprint: ab in A (single) and ef in B (single)"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("name", ["lr=0.1,rank=4", "{path}"])
def test_runs_can_be_named_by_their_folders_even_with_equals_signs(tmp_path, name):
    folder = _run(tmp_path / "lr=0.1,rank=4", "ICE-LoRA")
    label = f"{name.format(path=folder)}=ICE-LoRA rank=4"
    _report(folder, "--out", tmp_path / "out", "--formats", "md", "--label", label)
    assert "| ICE-LoRA rank=4 |" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize("label", ["elsewhere=ROME", "run", "run="])
def test_a_label_that_names_no_run_is_refused_with_the_runs(tmp_path, label):
    folder = _run(tmp_path / "run", "ROME")
    with pytest.raises(RunConfigError, match=str(folder)):
        _report(folder, "--out", tmp_path / "out", "--label", label)


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="no run"):
        _report(tmp_path, "--out", tmp_path / "out")
