"""Which algorithm for which job."""

from __future__ import annotations

from pathlib import Path

import pytest

from easyedit_ice import ALGORITHMS
from easyedit_ice.editors.choosing import JOBS, choose, job, others_than
from easyedit_ice.errors import HyperParamsError

ROOT = Path(__file__).resolve().parents[2]
ONE, BARE = {"prompt": "A is", "target_new": "B", "subject": "A"}, {"prompt": "A is", "target_new": "B"}


@pytest.mark.parametrize("own", JOBS, ids=lambda own: own.name)
def test_figures_stand_in_the_document_that_is_named(own):
    text = (ROOT / own.doc).read_text(encoding="utf-8")
    assert own.algorithm in ALGORITHMS
    assert all(part in text for part in own.quoted)


@pytest.mark.parametrize(
    ("facts", "more", "algorithm"),
    [
        ([ONE], {}, "FastMEMIT"),
        ([BARE], {}, "GoRA"),
        ([ONE] * 3, {}, "FastMEMIT"),
        ([ONE, BARE], {}, "GoRA"),
        ([ONE] * 10, {}, "FastICE"),
        ([ONE] * 499, {}, "FastICE"),
        ([ONE] * 1000, {}, "FastGrad"),
        ([BARE] * 1000, {}, "FastGrad"),
        ([ONE] * 10, {"one_by_one": True}, "GoRA"),
        ([ONE] * 10, {"wanted": "short-stream"}, "FastGrad"),
        ([ONE], {"wanted": "undo"}, "FastMEMIT"),
        ([ONE], {"wanted": "consequences"}, "ICE-Grad"),
        ([ONE], {"wanted": "same-subject"}, "FastGrad"),
        ([BARE], {"wanted": "fact"}, "GoRA"),
    ],
)
def test_the_choice_follows_from_the_facts_and_from_what_matters(facts, more, algorithm):
    assert choose(facts, **more).algorithm == algorithm


def test_an_unknown_job_is_refused_with_the_known_ones():
    with pytest.raises(HyperParamsError, match=r"Did you mean 'stream'\?"):
        job("streams")


def test_others_to_try_can_edit_what_there_is():
    assert others_than("FastMEMIT", with_subjects=True) == ["GoRA", "FastICE"]
    assert not any(ALGORITHMS[name].needs_subject for name in others_than("GoRA", with_subjects=False))
