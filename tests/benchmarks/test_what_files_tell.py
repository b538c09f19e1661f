"""The measurement of what a saved update gives away."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from easyedit_ice import WeightUpdate
from easyedit_ice.edit.delta import LowRankDelta

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import what_files_tell


@pytest.mark.slow
def test_an_edited_subject_is_found_among_others_by_each_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(what_files_tell, "CANDIDATES", 12)
    found = what_files_tell.measured("FastMEMIT", 1)
    assert {reader: own["subject_first"] for reader, own in found.items()} == {"keys": 1, "responses": 1, "answers": 1}
    assert {own["candidates"] for own in found.values()} == {12}


def test_a_file_without_words_holds_no_text_of_the_fact() -> None:
    delta = LowRankDelta(torch.ones(1, 3), torch.ones(2, 1))
    update = WeightUpdate(
        {"m": delta}, {"requests": [{"prompt": "Ada Brook is", "target_new": "x"}]}, {"m": torch.ones(1, 3)}
    )
    bare = what_files_tell.saved_without_words(update)
    assert bare.info == {} and bare.keys.keys() == {"m"}
    assert torch.equal(bare.deltas["m"].matrix(), delta.matrix())


def test_ties_count_against_the_reader() -> None:
    assert what_files_tell.place_of(torch.tensor([1.0, 1.0, 0.0]), 0) == 1
    assert what_files_tell.place_of(torch.tensor([2.0, 1.0, 0.0]), 0) == 0
