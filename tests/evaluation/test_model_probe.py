"""A look at a model before it is edited."""

from __future__ import annotations

from dataclasses import replace

import pytest

import easyedit_ice
from easyedit_ice import ALGORITHMS, factworld
from easyedit_ice.data import load_records
from easyedit_ice.editors.gradient.wordings import WORDINGS
from easyedit_ice.errors import DataError
from easyedit_ice.evaluation.model_probe import TOLD, Probe
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

FOUND = Probe(
    facts=40,
    known=20,
    told=16,
    followed={"a": 0.2, "b": 0.8},
    asked_otherwise={},
    wordings=("b",),
    written=16,
    stops=0.9,
    leads=0.9,
)


@pytest.fixture(scope="module")
def embedded():
    return easyedit_ice.probe(*factworld.load(), load_records("factworld", size=40).records)


def test_the_embedded_model_knows_its_world_follows_new_facts_and_stops(embedded):
    assert embedded.facts == 40
    assert embedded.known >= 38
    assert embedded.told == TOLD
    assert embedded.followed.keys() == set(WORDINGS)
    assert max(embedded.followed.values()) > 0.9
    assert embedded.stops > 0.9
    assert embedded.leads > 0.9


def test_without_records_plain_facts_are_asked():
    found = easyedit_ice.probe(SHAPES[0].build(), tokenizer())
    assert found.facts == 40
    assert found.told == 16
    assert set(found.wordings) <= set(WORDINGS)


def test_records_without_old_answers_are_refused():
    with pytest.raises(DataError, match="no record has a ground_truth"):
        easyedit_ice.probe(SHAPES[0].build(), tokenizer(), [{"prompt": "Lodel is in", "target_new": "Ommer"}])


def test_every_algorithm_is_told_what_it_means():
    said = FOUND.meaning()
    assert said.keys() == {*ALGORITHMS, "Prompt, IKE"}
    assert "good teacher: 80%" in said["ICE-LoRA"]
    assert "no teacher" in said["FastMEMIT"]
    weak = replace(FOUND, followed={"a": 0.1}).meaning()
    assert "hardly a teacher: 10%" in weak["ICE-LoRA"]


def test_a_model_that_goes_on_writing_is_told_apart_from_one_that_stops():
    goes_on, stops = replace(FOUND, stops=0.0).meaning(), FOUND.meaning()
    assert "leading answers" in goes_on["FastMEMIT"]
    assert "leading answers" not in stops["FastMEMIT"]


def test_what_was_found_can_be_written_as_plain_values():
    plain = FOUND.to_dict()
    assert plain["followed"] == {"a": 0.2, "b": 0.8}
    assert plain["meaning"] == FOUND.meaning()
