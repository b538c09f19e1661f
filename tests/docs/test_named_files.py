"""The pages name files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


def test_the_files_that_pages_name_are_there() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = sorted(set(re.findall(r"`((?:easyedit_ice|tests|benchmarks|examples)/[\w/.-]+\.\w+)`", text)))

    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []
