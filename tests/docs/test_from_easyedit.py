"""Every line of docs/from_easyedit.md, on EasyEdit's release, and on its head where EASYEDIT_HOME is set."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosts import EACH_HOST, found_in_host

SCRIPT = Path(__file__).resolve().with_name("from_easyedit_lines.py")

pytestmark = pytest.mark.slow


@EACH_HOST
def test_every_line_runs(host: str) -> None:
    results = found_in_host(host, SCRIPT)
    assert len(results) == 25
    wrong = {task: outcome for task, outcome in results.items() if outcome != "well"}
    assert not wrong, "\n".join(f"{task}: {outcome}" for task, outcome in wrong.items())
