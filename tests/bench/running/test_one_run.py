"""What a run says of itself, and whom it refuses."""

import json
import os
import subprocess
import sys

import pytest
from runs import QUICK, configured, lines_of

from easyedit_ice.bench.running.one_run import run
from easyedit_ice.bench.running.shards import Process
from easyedit_ice.edit.apply import solve
from easyedit_ice.errors import (
    DataError,
    IncomparableRunsError,
    LedgerError,
    OtherRunError,
    RunConfigError,
    RunFailedError,
    RunInUseError,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(configured(*QUICK, "data.size=2"), tmp_path_factory.mktemp("run"))


def test_the_manifest_holds_what_the_numbers_depend_on(finished):
    manifest = json.loads((finished / "manifest.json").read_text())

    assert manifest["algorithm"] == "LoRA-BF"
    assert manifest["label"] == "LoRA-BF num_steps=4"
    assert manifest["hparams"]["num_steps"] == 4
    assert manifest["hparams"]["rank"] > 0, "settings of the preset are resolved"
    assert manifest["model"]["tokenizer"]
    assert len(manifest["model"]["fingerprint"]) == len(manifest["data"]["hash"]) == 64
    assert manifest["versions"]["torch"]
    assert manifest["host"].startswith("EasyEdit ")
    assert (manifest["seed"], manifest["threads"]) == (0, 1)


def test_the_manifest_tells_what_was_made_from_the_models_shape(tmp_path):
    facts = ("algorithm=FT", "algorithm.preset=auto", "algorithm.hparams.num_steps=2", "data.size=1", "verbosity=quiet")
    manifest = json.loads((run(configured(*facts), tmp_path) / "manifest.json").read_text())

    assert manifest["preset"] == "auto"
    assert {"layers", "lr", "rewrite_module_tmp"} <= set(manifest["made_from_shape"])
    assert not {"num_steps", "model_name", "device"} & set(manifest["made_from_shape"])
    assert manifest["hparams"]["rewrite_module_tmp"] == "transformer.h.{}.mlp.c_proj"


@pytest.mark.parametrize(
    "other", ["data.size=3", "seed=1", "algorithm.hparams.num_steps=5", "evaluation.generate=false"]
)
def test_a_folder_with_another_run_is_refused_and_stays_as_it_is(finished, other):
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.name not in ("run.log", "lock")}

    with pytest.raises(OtherRunError, match="out="):
        run(configured(*QUICK, "data.size=2", other), finished)

    assert {name: (finished / name).read_bytes() for name in before} == before


def test_two_runs_at_once_in_one_folder_refuse_each_other(tmp_path):
    hold = "import sys; from easyedit_ice.bench.storage.run_folder import RunFolder; folder = RunFolder(sys.argv[1])"
    command = [sys.executable, "-c", f"{hold}; print('held', flush=True); input()", str(tmp_path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunInUseError, match=f"process {holder.pid}"):
            run(configured(*QUICK), tmp_path)
    finally:
        holder.communicate("")

    assert not (tmp_path / "ledger.jsonl").exists()


def test_easyedits_own_evaluator_gives_the_same_teacher_forced_scores(finished, tmp_path):
    theirs = run(configured(*QUICK, "data.size=2", "evaluation=easyedit"), tmp_path)

    for own, other in zip(lines_of(finished), lines_of(theirs), strict=True):
        assert other["scores"].keys() == {"teacher_forced"}
        assert other["scores"]["teacher_forced"] == pytest.approx(own["scores"]["teacher_forced"], abs=1e-12)


def test_processes_that_share_the_facts_cannot_share_each_batch_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(Process, "current", classmethod(lambda cls: cls(0, 2)))
    with pytest.raises(RunConfigError, match=r"deals its facts out to 2 processes.*leave data_parallel out"):
        run(configured(*QUICK, "algorithm.hparams.data_parallel=true"), tmp_path)


def test_easyedits_evaluator_cannot_ask_in_a_context(tmp_path):
    with pytest.raises(RunConfigError, match=r"evaluation\.scorer=batched"):
        run(configured("algorithm=Prompt", "data.size=1", "evaluation=easyedit", "verbosity=quiet"), tmp_path)


def test_everything_can_be_measured_at_once(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("The river that flows through Avaria is the Ell. " * 20)
    more = ("evaluation.drift_texts=3", "evaluation.known_facts=5", f"evaluation.perplexity_text={text}")
    folder = run(configured(*QUICK, "data.size=1", "evaluation=full", *more), tmp_path / "run")

    before, unedited, drift, after = lines_of(folder)
    assert before["fluency"] > 0
    assert after["fluency"] > 0
    assert drift["perplexity"] > 1
    assert unedited["known"] == {"facts": 5, "lost": []}
    assert drift["known"]["facts"] == 5
    assert drift["text_perplexity"] != unedited["text_perplexity"]
    known = json.loads((folder / "manifest.json").read_text())["known_facts"]
    assert (known["facts"], len(known["indices"].split()), known["asked"] >= 5) == (5, 5, True)


def test_only_facts_that_the_model_knows_are_edited_if_asked(tmp_path):
    folder = run(configured(*QUICK, "data.known=true", "data.size=3", "data.seed=1"), tmp_path)

    known = json.loads((folder / "manifest.json").read_text())["data"]["known"]
    assert (known["facts"], known["asked"] >= 3) == (3, True)
    before = [line for line in lines_of(folder) if line["phase"] == "before"]
    assert [str(line["case"]["index"]) for line in before] == known["indices"].split()


def test_half_a_character_in_the_facts_is_refused_by_its_record(tmp_path):
    fact = {"prompt": "Voumel \ud800 lives in", "subject": "Voumel", "target_new": "Brethdale", "ground_truth": "Zarm"}
    (tmp_path / "facts.json").write_text(json.dumps([fact | {"portability": {}, "locality": {}}]))

    with pytest.raises(RunConfigError, match="0 usable records"):
        run(configured(*QUICK, f"data.source={tmp_path / 'facts.json'}", "data.size=1"), tmp_path / "run")

    assert not (tmp_path / "run").exists()


def test_an_error_of_our_own_ends_the_run_with_its_traceback_in_the_log(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise IndexError("index out of range in self")

    monkeypatch.setattr("easyedit_ice.bench.methods.ours.solve", broken)

    with pytest.raises(RunFailedError, match=r"LoRA-BF failed with IndexError: .*while it wrote '.*run\.log has the"):
        run(configured(*QUICK), tmp_path / "run")

    assert "Traceback (most recent call last)" in (tmp_path / "run/run.log").read_text()
    assert lines_of(tmp_path / "run") == []


def test_a_fact_whose_edit_diverges_is_a_failed_line_and_the_others_are_as_without_it(finished, tmp_path, monkeypatch):
    solved = []

    def diverging(model, tok, requests, hparams):
        update = solve(model, tok, requests, hparams)
        if not solved:
            delta = next(iter(update.deltas.values()))
            delta.b[0, 0] = float("inf")
        solved.append(update)
        return update

    monkeypatch.setattr("easyedit_ice.bench.methods.ours.solve", diverging)
    folder = run(configured(*QUICK, "data.size=2"), tmp_path)

    failed = [line for line in lines_of(folder) if line["phase"] == "failed"]
    assert [line["position"] for line in failed] == [0]
    assert "Error: " in failed[0]["error"]
    assert lines_of(folder)[-1] == lines_of(finished)[-1]


def test_a_full_disk_ends_with_the_message_that_helps(tmp_path, monkeypatch):
    def full(file, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("easyedit_ice.bench.storage.ledger._write_whole", full)
    monkeypatch.setattr("logging.FileHandler.close", lambda handler: full(None, b""))

    with pytest.raises(LedgerError, match="make room and run the same command again"):
        run(configured(*QUICK), tmp_path / "run")


def test_a_run_that_is_interrupted_before_its_first_line_leaves_no_folder(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("easyedit_ice.bench.running.one_run._run_mode", interrupted)
    (tmp_path / "kept").mkdir()

    for folder in (tmp_path / "new/run", tmp_path / "kept"):
        with pytest.raises(KeyboardInterrupt):
            run(configured(*QUICK), folder)

    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "kept").iterdir()) in ([], [tmp_path / "kept/lock"])


def test_a_text_that_is_not_there_is_refused_before_work_starts(tmp_path):
    with pytest.raises(DataError, match="give a file of UTF-8 text"):
        run(configured(*QUICK, "evaluation.perplexity_text=nowhere.txt"), tmp_path)


def test_runs_of_other_facts_are_not_compared(finished, tmp_path):
    from easyedit_ice.bench.report import compare, read_run

    other = run(configured(*QUICK, "data.size=1"), tmp_path)

    with pytest.raises(IncomparableRunsError, match=r"data\.hash"):
        compare([read_run(finished), read_run(other)])


def test_random_state_threads_and_environment_are_left_alone(tmp_path):
    import random

    import numpy as np
    import torch

    def state():
        return (
            random.getstate(),
            np.random.get_state()[1].tolist(),
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            dict(os.environ),
            sys.argv,
        )

    before = state()
    run(configured(*QUICK, "data.size=1", "threads=2"), tmp_path)
    assert state() == before
