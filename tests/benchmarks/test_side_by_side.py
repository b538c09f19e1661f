"""Jobs side by side: one that crashes or hangs takes nothing from the others, and none outlives the time."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = """
import os, pathlib, sys, time
given = dict(word.split("=", 1) for word in sys.argv[1:])
folder = pathlib.Path(given["out"])
folder.mkdir(parents=True, exist_ok=True)
print("pid", os.getpid(), "threads", os.environ["OMP_NUM_THREADS"], os.environ.get("COLOUR"))
with (folder / "ledger.jsonl").open("a") as ledger:
    ledger.write("{}\\n" * int(given.get("lines", 1)))
if given.get("crash"):
    raise RuntimeError("no such method")
try:
    time.sleep(float(given.get("sleep", 0)))
except KeyboardInterrupt:
    if not given.get("deaf"):
        sys.exit(130)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("side_by_side", ROOT / "benchmarks" / "side_by_side.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """A stand-in for ``easyedit-ice run``."""
    path = tmp_path / "run.py"
    path.write_text(RUN)
    return [sys.executable, str(path)]


def test_each_job_ends_in_its_own_way(script: ModuleType, command: list[str], tmp_path: Path) -> None:
    jobs = [
        script.Job("a/good", ("lines=3",), {"COLOUR": "red"}),
        script.Job("a/crashing", ("crash=1",)),
        script.Job("hanging", ("sleep=60", "lines=2")),
        script.Job("deaf", ("sleep=60", "deaf=1")),
        script.Job("late", ()),
    ]
    began = time.monotonic()
    found = script.side_by_side(jobs, tmp_path / "out", processes=2, seconds=4, grace=1, command=command)
    assert time.monotonic() - began < 20
    by_name = {outcome.name: outcome for outcome in found}
    assert {name: (outcome.state, outcome.lines) for name, outcome in by_name.items()} == {
        "a/good": ("finished", 3),
        "a/crashing": ("failed", 1),
        "hanging": ("stopped", 2),
        "deaf": ("stopped", 1),
        "late": ("waiting", 0),
    }
    assert by_name["a/crashing"].last == "RuntimeError: no such method"
    assert (by_name["hanging"].status, by_name["deaf"].status) == (130, -9)
    assert "threads 1 red" in (tmp_path / "out" / "a" / "good.log").read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "out" / "deaf.log").read_text().split()[1]), 0)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [entry["state"] for entry in summary] == ["finished", "failed", "stopped", "stopped", "waiting"]


def test_a_command_that_cannot_be_started_fails_alone(script: ModuleType, tmp_path: Path) -> None:
    (found,) = script.side_by_side(
        [script.Job("x", ())], tmp_path, processes=1, seconds=60, command=[str(tmp_path / "no")]
    )
    assert found.state == "failed" and "No such file" in found.last


def test_files_of_jobs(script: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(
        "common: data=counterfact data.size=9\n"
        "jobs:\n"
        "- {name: later, run: algorithm=GoRA data.size=2}\n"
        "- {name: first, run: [algorithm=ROME], priority: 1, env: {EASYEDIT_HOME: null}}\n"
    )
    first, later = script.read_jobs(file)
    assert first.name == "first" and first.run == ("data=counterfact", "data.size=9", "algorithm=ROME")
    assert first.env == {"EASYEDIT_HOME": None}
    assert later.run == ("data=counterfact", "data.size=2", "algorithm=GoRA")


@pytest.mark.parametrize(
    ("text", "said"),
    [("jobs: []", "must hold"), ("- {run: x}", "has a name"), ("- {name: a}\n- {name: a}", "occur twice: a")],
)
def test_files_that_are_none(script: ModuleType, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "jobs.yaml").write_text(text)
    with pytest.raises(ValueError, match=said):
        script.read_jobs(tmp_path / "jobs.yaml")
