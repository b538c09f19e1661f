"""EasyEdit's own evaluation of a model that answers with its experts, on the release and at head."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from easyedit_ice.host.locate import HOME, PACKAGE

SCRIPT = Path(__file__).with_name("experts_within_easyedit.py")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("host", ["release", "head"])
def test_easyedit_scores_the_mixture_as_if_it_were_in_the_weights(host, tmp_path):
    if host == "head" and not os.environ.get(HOME):
        pytest.skip(f"needs a checkout of EasyEdit in ${HOME}")
    if host == "release" and find_spec(PACKAGE) is None:
        pytest.skip("needs EasyEdit's release: pip install --no-deps easyeditor==0.0.1.dev0")
    environment = {key: value for key, value in os.environ.items() if host == "head" or key != HOME}
    command = [sys.executable, str(SCRIPT), str(tmp_path / "found.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found) == 6
    assert all(case["chosen"] == case["committed"] for case in found)
    assert any(case["committed"] != case["base"] for case in found)
