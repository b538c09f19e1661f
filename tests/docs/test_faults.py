"""The page of faults names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_tests_that_the_page_names_are_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "docs" / "faults.md").read_text(encoding="utf-8"))

    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []
