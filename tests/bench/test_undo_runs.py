"""Runs that prove that an edit was undone: in their ledgers, and in reports."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import APART, QUICK, STREAM, configured, lines_of, run_until_killed

from easyedit_ice.bench.methods.ours import PackageEngine
from easyedit_ice.bench.report import compare, read_run, write_report
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.bench.storage.run_manifest import MANIFEST

SHORT = ("evaluation=fast", "data.size=2")
CHECKED = (*QUICK[:-1], *SHORT, "evaluation.undo=true")
STREAMED = (*STREAM, *SHORT, "data.untouched=0", "mode.checkpoint_every=1", "evaluation.undo=true")


def undone_in(folder: Path) -> list[dict[str, Any]]:
    return [line for line in lines_of(folder) if line["phase"] == "undone"]


def table_in(report: Path) -> dict[str, list[str]]:
    text = (report / "report.md").read_text()
    table = text[text.index("### What is left after undoing") :].partition("\n###")[0]
    split = ([cell.strip() for cell in row.split("|")] for row in table.splitlines())
    return {cells[1]: cells[2:-1] for cells in split if len(cells) > 2}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(configured(*CHECKED), tmp_path_factory.mktemp("checked"))


def test_every_edit_that_is_undone_leaves_every_logit_as_it_was(checked: Path) -> None:
    found = undone_in(checked)
    assert [(line["position"], line["step"]) for line in found] == [(0, 1), (1, 1)]
    assert all(line["undo"]["own"] == line["undo"]["run"] == 0 for line in found)
    assert all(line["undo"]["prompts"] >= 5 for line in found)  # the fact's own, and others


def test_a_way_back_that_is_off_by_one_weight_is_found_and_does_not_reach_the_next_fact(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checked: Path
) -> None:
    reverted = PackageEngine.take_out

    @torch.no_grad()
    def nearly(engine: PackageEngine) -> Any:
        model = reverted(engine)
        model.transformer.h[0].mlp.c_proj.weight[3, 5] += 0.01
        return model

    monkeypatch.setattr(PackageEngine, "take_out", nearly)
    folder = run(configured(*CHECKED), tmp_path / "run")
    assert all(line["undo"]["own"] > 0 == line["undo"]["run"] for line in undone_in(folder))
    others = [[line for line in lines_of(each) if line["phase"] != "undone"] for each in (folder, checked)]
    assert others[0] == others[1]
    write_report(compare([read_run(folder)]), tmp_path, ["md"])
    label = read_run(folder).label
    own, exact, copies, exact_by_copies = table_in(tmp_path)[label][1:]
    assert float(own) > 0
    assert (exact, copies, exact_by_copies) == ("no", "0", "yes")
    assert "Undo leaves something behind" in (tmp_path / "report.md").read_text()


def test_a_stream_is_undone_at_its_end_and_a_killed_one_once(tmp_path: Path) -> None:
    whole = run(configured(*STREAMED), tmp_path / "whole")
    (line,) = undone_in(whole)
    assert (line["position"], line["step"], line["undo"]["run"]) == (0, 2, 0)
    killed = tmp_path / "killed"
    process = APART.Process(target=run_until_killed, args=(configured(*STREAMED), killed, len(lines_of(whole)) - 1))
    process.start(), process.join()
    assert process.exitcode == -signal.SIGKILL
    run(configured(*STREAMED), killed)
    assert lines_of(killed) == lines_of(whole)
    run(configured(*STREAMED), killed)
    assert len(undone_in(killed)) == 1


def test_the_saved_model_of_a_stream_is_the_edited_one(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from easyedit_ice import factworld

    folder = run(configured(*STREAMED, "save=true"), tmp_path)
    saved = AutoModelForCausalLM.from_pretrained(folder / "checkpoint").state_dict()
    base = factworld.load()[0].state_dict()
    assert any(not torch.equal(saved[name], base[name]) for name in base)


def test_methods_that_change_no_weights_leave_nothing_either(tmp_path: Path) -> None:
    folder = run(configured("algorithm=Prompt", "verbosity=quiet", *SHORT), tmp_path / "run")
    assert all(line["undo"]["own"] == 0 for line in undone_in(folder))
    write_report(compare([read_run(folder)]), tmp_path, ["md", "html"])
    assert table_in(tmp_path)["Prompt"] == ["2", "0", "yes", "0", "yes"]
    assert "Undo is exact" in (tmp_path / "report.html").read_text()


def test_a_run_begun_by_a_version_without_the_check_goes_on(checked: Path, tmp_path: Path) -> None:
    folder = run(configured(*QUICK[:-1], *SHORT, "evaluation.undo=false"), tmp_path)
    assert not undone_in(folder)
    (folder / "ledger.jsonl").unlink()
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["evaluation"]["undo"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    run(configured(*CHECKED), folder)
    assert lines_of(folder) == lines_of(checked)
    compare([read_run(folder), read_run(checked, "other")])
