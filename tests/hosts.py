"""Scripts that tests run within one EasyEdit or the other: one process loads one EasyEdit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from easyedit_ice.easyedit.locate import HOME, PACKAGE

HOSTS = ("release", "head")
EACH_HOST = pytest.mark.parametrize("host", HOSTS)
_TESTS = Path(__file__).resolve().parent


def require_host(host: str) -> None:
    """Skip the test where there is no such EasyEdit."""
    if host == "head" and not os.environ.get(HOME):
        pytest.skip(f"needs a checkout of EasyEdit in ${HOME}")
    if host == "release" and find_spec(PACKAGE) is None:
        pytest.skip("needs EasyEdit's release: pip install --no-deps easyeditor==0.0.1.dev0")


def run_in_host(host: str, script: Path, *arguments: str, path: Sequence[Path] = ()) -> str:
    """Run a script in a process that finds one EasyEdit; its working directory is thrown away.

    Args:
        host: ``"release"`` or ``"head"``; the test is skipped where there is none.
        script: to be run by this Python; it finds this package and the helpers of tests.
        arguments: of the script; paths among them are absolute.
        path: more folders to import from.

    Returns:
        what it printed; if it fails, so does the test.
    """
    require_host(host)
    environment = dict(os.environ)
    home = environment.pop(HOME, None)
    if host == "head":
        environment[HOME] = str(Path(home).expanduser().resolve())
    places = [*map(str, path), str(_TESTS.parent), str(_TESTS), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(places)
    command = [sys.executable, str(script), *arguments]
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=900, check=False
        )
    if done.returncode:
        pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


@cache
def found_in_host(host: str, script: Path, *arguments: str, path: tuple[Path, ...] = ()) -> Any:
    """What a script finds within one EasyEdit, run once for all tests: it writes JSON to its first argument."""
    with TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        run_in_host(host, script, str(results), *arguments, path=path)
        return json.loads(results.read_text(encoding="utf-8"))
