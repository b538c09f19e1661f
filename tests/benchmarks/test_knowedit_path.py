"""Real KnowEdit records pass through ``BaseEditor`` of every EasyEdit, with the metrics of its own ROME."""

from __future__ import annotations

import json
from pathlib import Path

from hosts import EACH_HOST, run_in_host

SCRIPT = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "knowedit_path.py"


@EACH_HOST
def test_real_records_are_edited_restored_and_scored_as_easyedits_rome_is(
    host: str, shared_data: Path, tmp_path: Path
) -> None:
    run_in_host(host, SCRIPT, "--data-dir", str(shared_data.resolve()), "--records", "2", "--out", str(tmp_path))
    report = json.loads((tmp_path / f"knowedit_path_{host}.json").read_text())
    assert report["benchmarks"].keys() == {"WikiData_counterfact", "ZsRE"}
    for result in report["benchmarks"].values():
        assert result["edited"] == {"ICE-LoRA": 2, "ROME": 2}
        assert result["metrics keys differ"] == []
        assert result["restored to the bit"] == {"ICE-LoRA": True, "ROME": True}
        assert {"pre.rewrite_acc", "post.rewrite_acc"} <= result["keys"].keys()
        assert any(key.startswith("post.locality.") and key.endswith("_acc") for key in result["keys"])
        assert any(key.startswith("post.portability.") and key.endswith("_acc") for key in result["keys"])
