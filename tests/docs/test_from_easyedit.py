"""Every line of docs/from_easyedit.md, on EasyEdit's release, and on its head where EASYEDIT_HOME is set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from easyedit_ice.easyedit.locate import HOME, PACKAGE

SCRIPT = Path(__file__).resolve().parent / "from_easyedit_lines.py"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("host", ["release", "head"])
def test_every_line_runs(host, tmp_path):
    environment = dict(os.environ)
    if host == "release":
        environment.pop(HOME, None)
        if find_spec(PACKAGE) is None:
            pytest.skip("needs EasyEdit's release: pip install --no-deps easyeditor==0.0.1.dev0")
    elif not environment.get(HOME):
        pytest.skip(f"needs a checkout of EasyEdit in ${HOME}")
    environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPT.parents[2]), environment.get("PYTHONPATH", "")])
    command = [sys.executable, str(SCRIPT), "results.json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results) == 24
    wrong = {task: outcome for task, outcome in results.items() if outcome != "well"}
    assert not wrong, "\n".join(f"{task}: {outcome}" for task, outcome in wrong.items())
