"""Real KnowEdit records pass through ``BaseEditor`` of every EasyEdit, with the metrics of its own ROME."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from easyedit_ice.host.locate import HOME, PACKAGE

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "benchmarks" / "knowedit_path.py"


@pytest.mark.parametrize("host", ["release", "head"])
def test_real_records_are_edited_restored_and_scored_as_easyedits_rome_is(
    host: str, shared_data: Path, tmp_path: Path
) -> None:
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    if host == "head" and not environment.get(HOME):
        pytest.skip(f"needs a checkout of EasyEdit in ${HOME}")
    if host == "release":
        environment.pop(HOME, None)
        if find_spec(PACKAGE) is None:
            pytest.skip("needs EasyEdit's release: pip install --no-deps easyeditor==0.0.1.dev0")
    command = [sys.executable, str(SCRIPT), "--data-dir", str(shared_data), "--records", "2", "--out", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / f"knowedit_path_{host}.json").read_text())
    assert report["benchmarks"].keys() == {"WikiData_counterfact", "ZsRE"}
    for result in report["benchmarks"].values():
        assert result["edited"] == {"ICE-LoRA": 2, "ROME": 2}
        assert result["metrics keys differ"] == []
        assert result["restored to the bit"] == {"ICE-LoRA": True, "ROME": True}
        assert {"pre.rewrite_acc", "post.rewrite_acc"} <= result["keys"].keys()
        assert any(key.startswith("post.locality.") and key.endswith("_acc") for key in result["keys"])
        assert any(key.startswith("post.portability.") and key.endswith("_acc") for key in result["keys"])
