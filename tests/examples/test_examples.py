"""Every example, run as a user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytestmark = pytest.mark.slow


def run(folder: Path, name: str, *arguments: object) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done


def test_quickstart_edits_reverts_and_reloads(tmp_path):
    lines = run(tmp_path, "quickstart.py").stdout.splitlines()
    fact, before = "Voumel Quemwick lives in Brethdale", "Voumel Quemwick lives in Quouthburg"
    assert f"edited:   {fact}" in lines
    assert f"reverted: {before}" in lines
    assert f"reloaded: {fact}" in lines
    assert any(line.startswith(fact) and line.endswith("-> 100%") for line in lines)


@pytest.mark.real
def test_a_real_models_fact_is_changed_by_two_algorithms_and_taken_back(tmp_path, smollm2):
    shown = run(tmp_path, "real_model.py", "--model", smollm2, "--algorithms", "FastMEMIT", "LocFT-BF").stdout
    before, memit, locft, reverted = re.split(r"\n(?=edited|reverted)", shown)
    prompt = "The mother tongue of Danielle Darrieux is ->"
    assert all(f"{prompt}' French" in state for state in (before, reverted))
    assert all(f"{prompt}' English" in state for state in (memit, locft))
    assert "Marcel Proust is ->' French" in memit
    assert before.splitlines()[1:] == reverted.splitlines()[1:]


def test_run_knowedit_scores_a_file_and_names_its_problems(tmp_path):
    facts = [
        {"prompt": "Voumel Quemwick lives in", "subject": "Voumel Quemwick", "target_new": "Brethdale"},
        {"prompt": "Faeso Faerkov has a job at", "subject": "Faeso Faerkov", "target_new": ""},
    ]
    (tmp_path / "own.json").write_text(json.dumps(facts))
    arguments = ("--editing_method", "LoRA-BF", "--hparams_dir", "LoRA-BF/gpt2-factworld", "--data_dir", "own.json")
    done = run(tmp_path, "run_knowedit.py", *arguments, "--datatype", "counterfact", "--metrics_save_dir", "scores")
    assert "own.json: record 1: target_new is ''" in done.stderr
    metrics = json.loads((tmp_path / "scores" / "LoRA-BF_counterfact_gpt2-factworld_results.json").read_text())
    assert [record["post"]["rewrite_acc"] for record in metrics] == [[1.0]]
    assert "rewrite_acc: 100.0" in done.stdout


@pytest.mark.long
def test_run_knowedit_runs_easyedits_own_methods(tmp_path):
    arguments = ("--editing_method", "ROME", "--hparams_dir", "ROME/gpt2-factworld", "--data_dir", "factworld")
    run(tmp_path, "run_knowedit.py", *arguments, "--ds_size", 2)
    metrics = json.loads((tmp_path / "output" / "ROME_factworld_gpt2-factworld_results.json").read_text())
    assert [record["case_id"] for record in metrics] == [0, 1]


def test_mass_edit_writes_a_batch_and_lets_easyedits_memit_find_its_statistics(tmp_path):
    shown = run(tmp_path, "mass_edit.py", "--facts", 4).stdout
    assert "FastMEMIT wrote 3 of 4 facts" in shown or "FastMEMIT wrote 4 of 4 facts" in shown
    assert "EasyEdit's MEMIT, right tokens of one fact: 100%" in shown


@pytest.mark.long
def test_compare_prints_every_method(tmp_path):
    lines = run(tmp_path, "compare.py", "--facts", 1).stdout.splitlines()[-3:]
    assert [line.split()[0] for line in lines] == ["ICE-LoRA", "ROME", "FT"]
    assert all("rewrite_acc" in line and "locality" in line for line in lines)


@pytest.mark.long
def test_experts_are_trained_saved_composed_and_drawn(tmp_path):
    lines = run(tmp_path, "experts.py", "--folder", "made", "--facts", 2).stdout.splitlines()
    scores = {line.split()[0]: line for line in lines[-5:]}
    assert list(scores) == ["sum", "mean", "search", "prompt", "classifier"]
    assert "rewrite 100.0" in scores["classifier"]
    names = sorted(path.name for path in (tmp_path / "made" / "library").iterdir())
    assert names == ["birthplace", "classifier", "employer", "profession", "residence"]
    assert all((tmp_path / "made" / f"{plot}.png").stat().st_size > 10_000 for plot in ("scores", "alphas"))
