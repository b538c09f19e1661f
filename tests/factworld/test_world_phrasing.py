"""Prompts are unambiguous."""

from __future__ import annotations

from easyedit_ice.factworld.world_facts import CHAINS, RELATIONS
from easyedit_ice.factworld.world_phrasing import chain_prompt, held_out, prompt, templates


def _direct(name: str) -> list[str]:
    return [prompt(relation, index, name) for relation in RELATIONS for index in range(len(templates(relation)))]


def _chained(name: str) -> list[str]:
    return [chain_prompt(chain, index, name) for chain in CHAINS for index in range(len(templates(chain[1])))]


def test_every_editable_relation_has_four_statements_and_two_questions() -> None:
    for relation, kinds in RELATIONS.items():
        if not kinds.derived:
            questions = [text for text in templates(relation) if text.startswith("Question: ")]
            assert len(questions) >= 2
            assert len(templates(relation)) - len(questions) >= 4


def test_no_prompt_goes_on_as_another_prompt() -> None:
    prompts = _direct("Ana Mi") + _chained("Ana Mi")
    for short in prompts:
        assert not [text for text in prompts if text.startswith(f"{short} ")]


def test_prompts_start_in_upper_case_hold_the_name_and_end_before_the_space() -> None:
    for text in _direct("Ana Mi") + _chained("Ana Mi"):
        assert text[0].isupper()
        assert "Ana Mi" in text
        assert text == text.strip()


def test_every_wording_is_held_out_for_some_subject() -> None:
    for relation in RELATIONS:
        hidden = {held_out(f"name {number}", relation) for number in range(200)}
        assert hidden == set(range(len(templates(relation))))
