"""Runs of models with packed weights say how far rounding alone moves them."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import configured, lines_of

from easyedit_ice.bench.report import compare, read_run, write_report
from easyedit_ice.bench.running.one_run import run

ASKED = ("data.size=1", "evaluation=fast", "evaluation.known_facts=4", "evaluation.drift_texts=4")
PACKED = ("algorithm=FastMEMIT", "+algorithm.hparams.quantization_bit=8", *ASKED)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes to pack weights")
    return run(configured(*PACKED), tmp_path_factory.mktemp("packed"))


def test_a_line_says_what_a_change_of_no_meaning_does_to_the_unedited_model(packed: Path) -> None:
    (floor,) = (line for line in lines_of(packed) if line["phase"] == "rounding")
    assert (floor["position"], floor["step"]) == (0, 0)
    assert floor["kl"] > 0
    assert floor["known"]["facts"] == 4


def test_the_report_shows_it_beside_the_side_effects(packed: Path, tmp_path: Path) -> None:
    write_report(compare([read_run(packed)]), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| rounding alone (FastMEMIT quantization_bit=8) |" in text
    assert "It keeps, of known facts, in per cent: FastMEMIT quantization_bit=8 " in text
