"""An algorithm in a package of its own, installed as a user installs it, beside one that is broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow

SCRIPT = """
import contextlib, io, json, logging
logging.basicConfig()
from easyedit_ice import ALGORITHMS, OneStepHyperParams
from easyedit_ice.cli import main
from easyedit_ice.errors import BrokenAlgorithmError
from easyedit_ice.easyedit import base_editor
from easyedit_ice.testing import check_algorithm

def shown(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(list(arguments)) == 0
    return out.getvalue()

found = {"list": shown("hparams"), "plan": shown("plan", "OneStep", "--json")}
settings = "algorithm.hparams.length=0.1", "data.size=2", "evaluation=fast", "verbosity=quiet"
shown("run", "algorithm=OneStep", *settings, "out=run")
check_algorithm(ALGORITHMS["OneStep"], host=False)
try:
    ALGORITHMS["Broken"]
except BrokenAlgorithmError as error:
    found["told"] = str(error)
base_editor()
from easyeditor.util.alg_dict import ALG_DICT
hparams = OneStepHyperParams.from_hparams("OneStep/gpt2-factworld", length=0.2)
found["hparams"] = hparams.alg_name, hparams.layer, hparams.length
found["presets"] = OneStepHyperParams.presets()
found["known to EasyEdit"] = [name in ALG_DICT for name in ("OneStep", "LoRA-BF", "Broken")]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the package, and with one whose algorithm cannot be imported."""
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(ROOT / "examples" / "own_editor", tmp_path_factory.mktemp("source") / "own_editor")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder), str(source)], check=True, capture_output=True, text=True)
    broken = folder / "broken_editor-0.1.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-editor\nVersion: 0.1\n")
    (broken / "entry_points.txt").write_text("[easyedit_ice.algorithms]\nBroken = broken_editor:ALGORITHM\n")
    (folder / "broken_editor.py").write_text("import a_package_that_is_gone\n")
    return folder


@pytest.fixture(scope="module")
def found(site, tmp_path_factory) -> dict[str, Any]:
    """What a process with both packages shows, and the folder it ran in."""
    folder = tmp_path_factory.mktemp("within")
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1]) | {"folder": folder / "run", "log": done.stderr}


def test_it_keeps_every_promise_and_is_known_to_easyedit(found):
    assert found["known to EasyEdit"] == [True, True, False]


def test_it_is_listed_with_its_presets(found):
    (line,) = [line for line in found["list"].splitlines() if line.startswith("OneStep")]
    assert "a single step down the gradient" in line
    assert line.rstrip().endswith("gpt2-factworld")
    assert found["presets"] == ["OneStep/gpt2-factworld"]
    assert found["hparams"] == ["OneStep", 5, 0.2]


def test_it_is_planned_for(found):
    plan = json.loads(found["plan"])
    assert plan["gradients"] == plan["update"] == plan["undo"] > 0
    assert plan["peak"] > plan["weights"]


def test_the_runner_runs_it_with_its_preset(found):
    manifest = json.loads((found["folder"] / "manifest.json").read_text())
    assert (manifest["algorithm"], manifest["preset"]) == ("OneStep", "OneStep/gpt2-factworld")
    assert (manifest["hparams"]["layer"], manifest["hparams"]["length"]) == (5, 0.1)
    lines = [json.loads(line) for line in (found["folder"] / "ledger.jsonl").read_text().splitlines()]
    assert [line["phase"] for line in lines] == ["before", "immediate", "undone"] * 2


def test_a_broken_neighbour_is_named_and_harms_nobody(found):
    assert "Left out: Broken of another package: broken_editor:ALGORITHM raises ModuleNotFoundError" in found["list"]
    assert "LoRA-BF" in found["list"]
    assert "No module named 'a_package_that_is_gone'; mend or uninstall that package" in found["told"]
    assert "'Broken' of another package is left out" in found["log"]
