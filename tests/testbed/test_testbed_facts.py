"""What a testbed knows of a file, and what its text never says."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easyedit_ice import factworld
from easyedit_ice.data import load_records
from easyedit_ice.data.load import read_records
from easyedit_ice.errors import DataError
from easyedit_ice.factworld.documents import text_of
from easyedit_ice.testbed import Knowledge, gather
from easyedit_ice.testbed.sentences import TestbedWriter

CITIZEN = "The name of the country of citizenship of {} is"
ACTOR: dict[str, Any] = {
    "subject": "Ana Ruiz",
    "prompt": CITIZEN.format("Ana Ruiz"),
    "target_new": "Syria",
    "ground_truth": "Spain",
    "portability": {
        "Subject_Aliasing": [{"prompt": CITIZEN.format("A. Ruiz"), "ground_truth": [["Syria", "SY"]]}],
        "Reasoning": [
            {
                "prompt": "The name of the currency in the country of citizenship of Ana Ruiz is",
                "ground_truth": [["Syrian pound", "SYP"]],
            },
            {"prompt": CITIZEN.format("the mother of Leo Ruiz"), "ground_truth": [["Syria", "SY"]]},
        ],
    },
    "locality": {
        "Relation_Specificity": [{"prompt": "The gender of Ana Ruiz is", "ground_truth": [["female", "woman"]]}]
    },
}


def answers(known: Knowledge) -> dict[str, str]:
    return {prompt: fact.answer for fact in known.facts for prompt in fact.prompts}


def texts(known: Knowledge, count: int) -> Iterator[str]:
    writer = TestbedWriter(known, random.Random(0))
    for _ in range(count):
        yield text_of(writer.true_document())
        yield text_of(writer.new_fact_document())


def joined(text: str, known: Knowledge) -> list[tuple[str, str]]:
    """The barred pairs that the text says; an answer of which the target is only the beginning does not count."""
    return [
        (prompt, target)
        for prompt, target in known.barred
        if prompt in text and re.search(rf"{re.escape(f'{prompt} {target}')}(?=[.\n]|$)", text)
    ]


def test_a_records_prompt_and_its_aliases_are_known_with_the_answer_before_the_edit() -> None:
    known = answers(gather(read_records([ACTOR])))
    assert known[CITIZEN.format("Ana Ruiz")] == "Spain"
    assert known[CITIZEN.format("A. Ruiz")] == "Spain"


def test_a_rephrased_prompt_is_known_too() -> None:
    known = answers(gather(read_records([{**ACTOR, "rephrase_prompt": "Ana Ruiz is a citizen of"}])))
    assert known["Ana Ruiz is a citizen of"] == "Spain"


def test_locality_probes_are_known_by_the_answer_they_are_scored_by() -> None:
    assert answers(gather(read_records([ACTOR])))["The gender of Ana Ruiz is"] == "female"


def test_reasoning_probes_tell_facts_of_the_new_answer() -> None:
    assert answers(gather(read_records([ACTOR])))["The name of the currency in Syria is"] == "Syrian pound"


def test_reasoning_probes_tell_who_the_subject_is_to_others() -> None:
    assert answers(gather(read_records([ACTOR])))["The name of the mother of Leo Ruiz is"] == "Ana Ruiz"


def test_an_answer_after_the_edit_that_names_the_subject_is_not_taken_for_a_fact() -> None:
    prompt = "The name of the child of the father of Ana Ruiz is"
    probes = {"Reasoning": [{"prompt": prompt, "ground_truth": [["Ana Ruiz"]]}]}
    record = {**ACTOR, "prompt": "The name of the father of Ana Ruiz is", "target_new": "Ben Poe"}
    known = answers(gather(read_records([{**record, "portability": probes}])))
    assert not any("Ben Poe" in prompt for prompt in known)


def test_of_two_answers_to_one_prompt_the_first_stays_and_the_other_is_noted() -> None:
    known = gather(read_records([ACTOR, {**ACTOR, "ground_truth": "Cuba"}]))
    assert answers(known)[CITIZEN.format("Ana Ruiz")] == "Spain"
    assert any("kept 'Spain'" in note and "not 'Cuba'" in note for note in known.notes)


def test_a_probe_that_gives_a_records_new_answer_is_left_out_and_noted() -> None:
    told = {"Relation_Specificity": [{"prompt": CITIZEN.format("A. Ruiz"), "ground_truth": [["Syria"]]}]}
    edited = {**ACTOR, "ground_truth": None}
    teller = {"subject": "Bo Li", "prompt": CITIZEN.format("Bo Li"), "target_new": "Cuba", "ground_truth": "Peru"}
    known = gather(read_records([edited, {**teller, "locality": told}]))
    assert CITIZEN.format("A. Ruiz") not in answers(known)
    assert any("left out" in note and "A. Ruiz" in note for note in known.notes)


def test_a_record_whose_new_answer_is_its_original_one_is_noted() -> None:
    assert any(
        "original answer 'Syria'" in note for note in gather(read_records([{**ACTOR, "ground_truth": "Syria"}])).notes
    )


def test_a_file_without_original_answers_is_refused() -> None:
    with pytest.raises(DataError, match="no record has a ground_truth"):
        gather(read_records([{**ACTOR, "ground_truth": None}]))


def test_no_document_joins_a_records_prompt_with_its_new_answer_in_the_embedded_world() -> None:
    known = gather(read_records(factworld.records("dev")[:150]))
    assert not [pair for text in texts(known, 1500) for pair in joined(text, known)]


def test_no_document_joins_a_published_records_prompt_with_its_new_answer(shared_data: Path) -> None:
    known = gather(load_records(shared_data / "wiki_counterfact" / "test_cf_dev.json"))
    assert not [pair for text in texts(known, 1500) for pair in joined(text, known)]


def test_documents_state_new_facts_and_then_use_them(shared_data: Path) -> None:
    known = gather(load_records(shared_data / "wiki_counterfact" / "test_cf_dev.json"))
    writer, original = TestbedWriter(known, random.Random(0)), answers(known)
    documents = [writer.new_fact_document() for _ in range(300)]
    for document in documents:
        stated = [span for span in document if span.role == "answer" and span.weight == 0]
        assert stated
        prompt = text_of(document[: document.index(stated[0])]).split(": ")[-1]
        assert original.get(prompt) != stated[0].text.strip()
    assert sum("first hop" in {span.role for span in document} for document in documents) > 60


@pytest.mark.parametrize(
    ("file", "at_least"),
    [
        ("ZsRE/ZsRE-test-dev.json", 600),
        ("counterfact/counterfact-val.json", 1800),
        ("counterfact/counterfact_rome_dev.json", 480),
        ("zsre/zsre_mend_eval_dev.json", 470),
    ],
)
def test_original_answers_of_other_forms_are_known(shared_data: Path, file: str, at_least: int) -> None:
    records = load_records(shared_data / file)
    known = gather(records)
    told = answers(known)
    assert (
        sum(told.get(record["prompt"].strip()) == record["ground_truth"][0].strip() for record in records) >= at_least
    )
    assert all(text_of(TestbedWriter(known, random.Random(seed)).new_fact_document()) for seed in range(3))
