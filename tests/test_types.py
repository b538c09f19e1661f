"""The package's type hints hold, as ``make lint`` checks them too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import easyedit_ice

ROOT = Path(easyedit_ice.__file__).parents[1]


@pytest.mark.slow
def test_every_type_hint_of_the_package_holds():
    pytest.importorskip("mypy")

    checked = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout + checked.stderr
