"""What users rely on, in every EasyEdit there is: the installed release, and head where EASYEDIT_HOME is set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from easyedit_ice.host.locate import HOME, PACKAGE

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from behaviours import BEHAVIOURS, EASYEDIT_FIRST  # noqa: E402

CASES = [(host, order, name) for host in ("release", "head") for order in BEHAVIOURS for name in BEHAVIOURS[order]]


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], dict[str, str]]:
    """Runs the behaviours of a host in a process of their own, once."""
    known: dict[tuple[str, str], dict[str, str]] = {}

    def run(host: str, order: str) -> dict[str, str]:
        if (host, order) not in known:
            known[host, order] = _run(host, order, tmp_path_factory.mktemp(host))
        return known[host, order]

    return run


def _run(host: str, order: str, folder: Path) -> dict[str, str]:
    environment = dict(os.environ)
    if host == "release":
        environment.pop(HOME, None)
    # The toy sentence encoder is on the path of one order only: the other shows what its absence does.
    added = [str(HERE.parent.parent), str(HERE), *([str(HERE / "encoder")] if order == EASYEDIT_FIRST else [])]
    environment["PYTHONPATH"] = os.pathsep.join([*added, environment.get("PYTHONPATH", "")])
    results = folder / "results.json"
    command = [sys.executable, str(HERE / "behaviours.py"), str(results), order]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if not results.exists():
        pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(results.read_text())


@pytest.mark.parametrize(("host", "order", "name"), CASES, ids=["-".join(case) for case in CASES])
def test_behaviour(host: str, order: str, name: str, outcomes: Callable) -> None:
    if host == "head" and not os.environ.get(HOME):
        pytest.skip(f"needs a checkout of EasyEdit in ${HOME}")
    if host == "release" and find_spec(PACKAGE) is None:
        pytest.skip("needs EasyEdit's release: pip install --no-deps easyeditor==0.0.1.dev0")
    outcome = outcomes(host, order)[name]
    if outcome.startswith("skipped: "):
        pytest.skip(outcome.removeprefix("skipped: "))
    assert not outcome, outcome
