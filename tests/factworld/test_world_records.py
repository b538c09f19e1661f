"""Records are in KnowEdit's form, and their answers follow from the world by rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import DataError
from easyedit_ice.factworld import default_world, records, write_records
from easyedit_ice.factworld.world_facts import CHAINS, RELATIONS, Fact, World
from easyedit_ice.factworld.world_phrasing import chain_prompt, prompt, templates

SPLITS = ("dev", "test")


@cache
def _meanings() -> dict[str, tuple[str, tuple[str, ...]]]:
    """What every prompt of the world asks: its subject, and the relations to follow from there."""
    world, found = default_world(), {}
    for chain in CHAINS:
        for subject in world.entities[RELATIONS[chain[0]].subject]:
            for index in range(len(templates(chain[1]))):
                found[chain_prompt(chain, index, subject)] = (subject, chain)
    for relation, kinds in RELATIONS.items():
        for subject in world.entities[kinds.subject]:
            for name in filter(None, (subject, world.aliases.get(subject))):
                for index in range(len(templates(relation))):
                    found[prompt(relation, index, name)] = (subject, (relation,))
    return found


def _answers(world: World, edits: list[Fact], prompts: Sequence[str]) -> list[str]:
    """What the prompts are answered with in the world after ``edits``."""
    truth = {(fact.subject, fact.relation): fact.target for fact in world.facts}
    for edit in edits:
        inverse = RELATIONS[edit.relation].inverse
        if inverse is not None:
            truth[edit.target, inverse] = edit.subject
        truth[edit.subject, edit.relation] = edit.target
    answers = []
    for text in prompts:
        name, path = _meanings()[text]
        for relation in path:
            name = truth[name, relation]
        answers.append(name)
    return answers


def _probes(record: dict[str, Any]) -> list[tuple[str, str]]:
    kinds = {**record["portability"], **record["locality"]}
    return [(probe["prompt"], probe["ground_truth"][0][0]) for probes in kinds.values() for probe in probes]


def _edit(record: dict[str, Any]) -> Fact:
    return Fact(record["subject"], record["relation"], record["target_new"])


@pytest.mark.parametrize("split", SPLITS)
def test_records_are_the_same_each_time_and_callers_cannot_spoil_them(split: str) -> None:
    first = records(split)
    first[0]["locality"].clear()
    assert records(split)[0]["locality"]
    assert records(split)[1:] == first[1:]


def test_there_are_over_a_thousand_and_no_subject_is_in_both_splits() -> None:
    subjects = [{record["subject"] for record in records(split)} for split in SPLITS]
    assert not subjects[0] & subjects[1]
    assert sum(len(records(split)) for split in SPLITS) >= 1000


def test_an_unknown_split_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"'train'.*'dev', 'test'"):
        records("train")


@pytest.mark.parametrize("split", SPLITS)
def test_every_record_is_a_valid_request_that_changes_the_truth(split: str) -> None:
    world = default_world()
    for index, record in enumerate(records(split)):
        request = EditRequest.from_dict(record, index)
        assert record["subject"] in request.prompt
        assert request.prompt != request.rephrase_prompt
        assert world.target(record["subject"], record["relation"]) == record["ground_truth"] != record["target_new"]


@pytest.mark.parametrize("split", SPLITS)
def test_every_probe_is_answered_as_the_rules_say_after_its_edit(split: str) -> None:
    world = default_world()
    for record in islice(records(split), 0, None, 5):
        prompts, answers = zip(*_probes(record), strict=True)
        assert _answers(world, [_edit(record)], prompts) == list(answers)


@pytest.mark.parametrize("split", SPLITS)
def test_editing_every_subject_once_changes_no_probes_answer(split: str) -> None:
    world = default_world()
    batch: dict[str, dict[str, Any]] = {}
    for record in records(split):
        if record["subject"] in batch:
            break
        batch[record["subject"]] = record
    assert len(batch) > 150
    prompts, answers = zip(*[probe for record in batch.values() for probe in _probes(record)], strict=True)
    assert _answers(world, [_edit(record) for record in batch.values()], prompts) == list(answers)


def test_every_kind_of_probe_occurs_often() -> None:
    counts: dict[str, int] = {}
    for record in records("test"):
        for kind in (*record["portability"], *record["locality"]):
            counts[kind] = counts.get(kind, 0) + 1
    kinds = ("Subject_Aliasing", "Reasoning", "Logical_Generalization", "Relation_Specificity", "Forgetfulness")
    assert all(counts[kind] >= 100 for kind in kinds)


def test_written_records_read_back_equal(tmp_path: Path) -> None:
    path = write_records(tmp_path / "deep" / "dev.json", "dev")
    assert json.loads(path.read_text(encoding="utf-8")) == records("dev")
