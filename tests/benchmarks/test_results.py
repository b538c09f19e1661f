"""The runs whose figures are in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from easyedit_ice.bench.storage.run_manifest import origin_of
from easyedit_ice.bench.storage.sealed_lines import read_sealed

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
LEDGERS = sorted(RESULTS.rglob("ledger.jsonl"))
FOLDER_OF_SOMEBODY = re.compile(r'[" =](/(?:home|root|tmp|work|Users)/|[A-Z]:\\\\)')


@pytest.mark.parametrize("ledger", LEDGERS, ids=lambda path: str(path.parent.relative_to(RESULTS)))
def test_each_can_be_read_and_reported_again_and_names_nobodys_folders(ledger: Path) -> None:
    assert read_sealed(ledger, origin_of(ledger.parent)).lines
    told = [path.read_text(errors="replace") for path in (ledger, ledger.parent / "manifest.json") if path.is_file()]
    assert not [found for text in told for found in FOLDER_OF_SOMEBODY.findall(text)]


def test_there_are_some() -> None:
    assert len(LEDGERS) > 40
