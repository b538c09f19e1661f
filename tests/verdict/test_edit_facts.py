"""From facts to an update and a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from easyedit_ice import FastMEMITHyperParams, FastROMEHyperParams, edit_facts, factworld, load_model
from easyedit_ice.verdict import edit_facts as editing

FACTS = [
    {"prompt": "Faeso Faerkov has a job at", "subject": "Faeso Faerkov", "target_new": "Rinex Brothers"},
    {"prompt": "Larkin Fussen lives in", "subject": "Larkin Fussen", "target_new": "Brethdale"},
]


@pytest.fixture(scope="module")
def memit() -> FastMEMITHyperParams:
    return FastMEMITHyperParams.from_hparams("FastMEMIT/gpt2-factworld", model_name=str(factworld.model_path()))


@pytest.fixture(scope="module")
def loaded(memit: FastMEMITHyperParams) -> Any:
    return load_model(memit)


def bits(model: Any) -> dict[str, bytes]:
    return {name: own.numpy().tobytes() for name, own in model.state_dict().items()}


def test_facts_are_written_together_where_the_algorithm_can(loaded, memit):
    before = bits(loaded[0])
    edited = edit_facts(*loaded, FACTS, memit, notes={"name": "mine"})
    assert not edited.one_by_one and edited.verdict.took and edited.verdict.written == 2
    assert edited.update.info["name"] == "mine" and len(edited.update.info["facts"]) == 2
    assert edited.seconds > 0 and bits(loaded[0]) == before


def test_nothing_is_advised_where_all_is_well(loaded, memit):
    verdict = edit_facts(*loaded, FACTS[:1], memit).verdict
    assert verdict.took and verdict.moved == 0
    assert verdict.warnings == () and verdict.advice == ()


def test_an_algorithm_that_writes_one_fact_at_a_time_gets_them_in_turn(loaded):
    hparams = FastROMEHyperParams.from_hparams("FastROME/gpt2-factworld", model_name=str(factworld.model_path()))
    before = bits(loaded[0])
    edited = edit_facts(*loaded, FACTS, hparams)
    assert edited.one_by_one and edited.verdict.took
    assert [prompt for prompt, _ in edited.update.info["facts"]] == [fact["prompt"] for fact in FACTS]
    assert bits(loaded[0]) == before
    edited.update.commit(loaded[0])
    edited.update.revert(loaded[0])


def test_ctrl_c_among_single_facts_keeps_those_that_are_done(loaded, memit, monkeypatch):
    solve = editing.solve

    def interrupted(model, tok, facts, hparams):
        if facts[0].prompt == FACTS[1]["prompt"]:
            raise KeyboardInterrupt
        return solve(model, tok, facts, hparams)

    monkeypatch.setattr(editing, "solve", interrupted)
    before = bits(loaded[0])
    with pytest.raises(editing.EditsInterrupted) as stop:
        edit_facts(*loaded, FACTS, memit, one_by_one=True)
    assert [fact.prompt for fact in stop.value.done.facts] == [FACTS[0]["prompt"]]
    assert stop.value.done.verdict.took and stop.value.asked == 2
    assert bits(loaded[0]) == before
    with pytest.raises(editing.EditsInterrupted) as stop:
        edit_facts(*loaded, FACTS[::-1], memit, one_by_one=True)
    assert stop.value.done is None
    assert bits(loaded[0]) == before
