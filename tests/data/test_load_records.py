"""Reading every published form, and reporting every kind of damage."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from easyedit_ice.data import Severity, load_records, read_records
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import DataError


def knowedit(**changes: Any) -> dict[str, Any]:
    record = {
        "subject": "Ada Brook",
        "prompt": "The employer of Ada Brook is",
        "target_new": "Nordwell",
        "ground_truth": "Halden",
        "rephrase_prompt": "Ada Brook works for",
        "portability": {
            "Reasoning": [{"prompt": "Ada Brook's employer is based in", "ground_truth": [["Sundvik", "Sund"]]}]
        },
        "locality": {"Relation_Specificity": [{"prompt": "Ada Brook was born in", "ground_truth": ["Mara"]}]},
    }
    return record | changes


def probing(truth: Any, kind: str = "Relation_Specificity") -> dict[str, Any]:
    return knowedit(locality={kind: [{"prompt": "Ada Brook was born in", "ground_truth": truth}]})


COUNTERFACT = {
    "case_id": 10,
    "prompt": "Ada Brook, employed by",
    "target_new": "Nordwell",
    "subject": "Ada Brook",
    "ground_truth": "Halden",
    "rephrase_prompt": "The firm that pays Ada Brook is",
    "locality_prompt": "Bo Lind, employed by",
    "locality_ground_truth": "Halden",
}
ROME = {
    "case_id": 4482,
    "requested_rewrite": {
        "prompt": "{} is employed by",
        "relation_id": "P108",
        "target_new": {"str": "Nordwell", "id": "Q1"},
        "target_true": {"str": "Halden", "id": "Q2"},
        "subject": "Ada Brook",
    },
    "paraphrase_prompts": ["The firm that pays Ada Brook is", "Ada Brook works for"],
    "neighborhood_prompts": ["Bo Lind is employed by", "Cy Moe is employed by"],
    "attribute_prompts": [],
    "portability": {"New Question": "Where is Ada Brook's employer based?", "New Answer": "Sundvik"},
}
ZSRE = {
    "subject": "Ada Brook",
    "src": "Which firm employs Ada Brook?",
    "rephrase": "Who is Ada Brook's employer?",
    "alt": "Nordwell",
    "answers": ["Halden", "Halden AS"],
    "loc": "nq question: who wrote the opera",
    "loc_ans": "Lindqvist",
    "portability": {"New Question": "Where is Ada Brook's employer based?", "New Answer": "Sundvik"},
}
WIKIBIO = {
    "text": "This is a passage about ada brook. Ada Brook is an engineer.",
    "labels": "She works for Nordwell.",
    "concept": "ada brook",
    "locality": {"Relation_Specificity": [{"prompt": "Ada Brook was born in", "ground_truth": ["Mara"]}]},
}


def reasons(records: Any, severity: Severity) -> list[str]:
    return [problem.reason for problem in records.problems_of(severity)]


def test_knowedit_records_keep_every_alias_and_every_further_key():
    record = read_records([knowedit(relation="employer")])[0]
    assert record == knowedit(relation="employer") | {
        "index": 0,
        "ground_truth": ["Halden"],
        "locality": {
            "Relation_Specificity": [{"prompt": "Ada Brook was born in", "ground_truth": [["Mara"]]}],
        },
    }


@pytest.mark.parametrize(
    ("raw", "prompt", "rephrase"),
    [
        (COUNTERFACT, "Ada Brook, employed by", "The firm that pays Ada Brook is"),
        (ROME, "Ada Brook is employed by", "The firm that pays Ada Brook is"),
        (ZSRE, "Which firm employs Ada Brook?", "Who is Ada Brook's employer?"),
    ],
    ids=["counterfact", "counterfact-rome", "zsre"],
)
def test_older_forms_read_as_knowedit_records(raw: dict[str, Any], prompt: str, rephrase: str):
    records = read_records([raw])
    record = records[0]
    assert not records.problems
    assert (record["prompt"], record["rephrase_prompt"]) == (prompt, rephrase)
    assert (record["subject"], record["target_new"]) == ("Ada Brook", "Nordwell")
    assert record["ground_truth"][0] == "Halden"
    assert list(record["locality"]) == ["neighborhood"]
    if "portability" in raw:
        probe = {"prompt": "Where is Ada Brook's employer based?", "ground_truth": [["Sundvik"]]}
        assert record["portability"] == {"one_hop": [probe]}
    else:
        assert record["portability"] == {}


def test_every_neighbour_of_the_rome_form_is_a_locality_probe_with_the_true_target():
    assert read_records([ROME])[0]["locality"]["neighborhood"] == [
        {"prompt": "Bo Lind is employed by", "ground_truth": [["Halden"]]},
        {"prompt": "Cy Moe is employed by", "ground_truth": [["Halden"]]},
    ]


def test_wikibio_text_labels_and_concept_are_prompt_target_and_subject():
    record = read_records([WIKIBIO])[0]
    assert (record["prompt"], record["target_new"], record["subject"]) == (
        WIKIBIO["text"],
        WIKIBIO["labels"],
        WIKIBIO["concept"],
    )


def test_the_form_is_told_by_the_keys_and_not_by_the_file_name(tmp_path: Path):
    path = tmp_path / "counterfact.json"
    path.write_text(json.dumps([ZSRE]), encoding="utf-8")
    assert load_records(path)[0]["prompt"] == ZSRE["src"]


def test_a_given_form_overrides_the_keys():
    both = knowedit(text="A passage about Ada Brook.", labels="She works for Nordwell.", concept="Ada Brook")
    assert read_records([both])[0]["prompt"] == "A passage about Ada Brook."
    assert read_records([both], form="knowedit")[0]["prompt"] == both["prompt"]


def test_an_unknown_form_is_refused_with_the_forms_there_are():
    with pytest.raises(DataError, match=r"counterfact-rome.*Did you mean 'knowedit'"):
        read_records([knowedit()], form="knowedits")


def test_records_of_no_known_form_are_refused_with_their_keys():
    with pytest.raises(DataError, match=r"keys \['answer', 'question'\]"):
        read_records([{"question": "Who?", "answer": "Ada"}])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("a string", "the record is 'a string'"),
        (knowedit(prompt=" "), "prompt is ' '"),
        (knowedit(target_new=None), "target_new is missing"),
        (knowedit(target_new=["Nordwell"]), r"target_new is \['Nordwell'\]"),
    ],
)
def test_a_record_without_a_fact_is_left_out_and_reported(damage: Any, reason: str):
    records = read_records([knowedit(), damage, knowedit(prompt="The firm of Ada Brook is")])
    assert [record["index"] for record in records] == [0, 2]
    (problem,) = records.problems
    assert (problem.index, problem.severity) == (1, Severity.RECORD)
    with pytest.raises(DataError, match=reason):
        read_records([knowedit(), damage], path="f.json", on_error="raise")


def test_a_report_names_the_field_as_the_file_does():
    (problem,) = read_records([ZSRE, ZSRE | {"src": "", "index": 7}]).problems
    assert str(problem) == ("records: record 1: prompt (the file's 'src') is ''; expected text (record left out)")


@pytest.mark.parametrize("truth", [[], [[]], [[], []], "", "  ", [""], [["", " "]]])
def test_a_probe_without_an_alias_is_left_out_and_reported_and_its_record_stays(truth: Any):
    records = read_records([probing(truth)])
    assert records[0]["locality"] == {}
    (reason,) = reasons(records, Severity.PROBE)
    assert reason.startswith("locality.Relation_Specificity[0] has no answer to score")


def test_a_first_answer_without_an_alias_gives_way_to_the_next_and_is_noted():
    records = read_records([probing([[], ["Mara", "Old Mara"]])])
    assert records[0]["locality"]["Relation_Specificity"][0]["ground_truth"] == [["Mara", "Old Mara"]]
    assert reasons(records, Severity.NOTE) == [
        "locality.Relation_Specificity[0] has no alias for its first answer; the next one is scored"
    ]


def test_a_later_answer_without_an_alias_is_left_out_and_noted():
    records = read_records([probing([["Mara"], []])])
    assert records[0]["locality"]["Relation_Specificity"][0]["ground_truth"] == [["Mara"]]
    assert reasons(records, Severity.NOTE) == [
        "locality.Relation_Specificity[0] has answers without an alias, which are left out"
    ]


@pytest.mark.parametrize(
    ("truth", "answers"),
    [
        ("Mara", [["Mara"]]),
        (["Mara", "Sund"], [["Mara"], ["Sund"]]),
        ([["Mara", "Old Mara"], ["Sund"]], [["Mara", "Old Mara"], ["Sund"]]),
    ],
)
def test_answers_may_be_text_a_list_or_a_list_of_lists(truth: Any, answers: Any):
    assert read_records([probing(truth)])[0]["locality"]["Relation_Specificity"][0]["ground_truth"] == answers


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"locality": "none"}, "locality is 'none'; expected an object of kinds"),
        (
            {"locality": {"Forgetfulness": "none"}},
            "locality.Forgetfulness is 'none'; expected a list of probes",
        ),
        ({"locality": {"Forgetfulness": ["x"]}}, "locality.Forgetfulness[0] is 'x'; expected an object"),
        ({"locality": {"Forgetfulness": [{"ground_truth": "x"}]}}, "has the prompt missing"),
        ({"locality": {"Forgetfulness": [{"prompt": "x"}]}}, "has the ground_truth missing"),
        ({"locality": {"Forgetfulness": [{"prompt": "x", "ground_truth": [1998]}]}}, "ground_truth [1998]"),
        ({"rephrase_prompt": ""}, "rephrase_prompt is ''"),
    ],
)
def test_a_damaged_probe_is_left_out_and_reported_and_its_record_stays(changes: dict, reason: str):
    records = read_records([knowedit(**changes)])
    assert len(records) == 1
    (found,) = reasons(records, Severity.PROBE)
    assert reason in found
    EditRequest.from_dict(records[0])
    with pytest.raises(DataError, match="record 0"):
        read_records([knowedit(**changes)], on_error="raise")


def test_neighbours_that_are_no_list_are_reported_and_not_read_letter_by_letter():
    records = read_records([ROME | {"neighborhood_prompts": "Bo Lind is employed by"}])
    assert records[0]["locality"] == {}
    assert len(records.problems_of(Severity.PROBE)) == 1


@pytest.mark.parametrize(
    ("changes", "absent", "reason"),
    [
        ({"subject": "Ada Brooke"}, None, "the subject 'Ada Brooke' does not occur in the prompt"),
        ({"subject": 7}, "subject", "subject is 7; read as having none"),
        ({"ground_truth": ""}, "ground_truth", "ground_truth is ''; read as unknown"),
        ({"subject": None, "ground_truth": None}, "subject", None),
    ],
)
def test_what_an_edit_can_do_without_is_noted_and_never_refused(changes: dict, absent: str, reason: str | None):
    records = read_records([knowedit(**changes)], on_error="raise")
    assert len(records) == 1
    assert absent not in records[0]
    found = reasons(records, Severity.NOTE)
    assert found == [] if reason is None else len(found) == 1 and found[0].startswith(reason)


def test_a_forgetfulness_probe_that_expects_the_new_target_is_noted():
    records = read_records([probing([["Nordwell"]], "Forgetfulness"), probing([["Mara"]], "Forgetfulness")])
    assert reasons(records[:1], Severity.NOTE) == [
        "locality.Forgetfulness[0] expects the new target 'Nordwell' as the old answer"
    ]


def test_a_repeated_prompt_is_noted_with_the_record_it_repeats():
    records = read_records([knowedit(), knowedit(), knowedit(target_new="Halden")])
    assert len(records) == 3
    assert reasons(records, Severity.NOTE) == [
        "its prompt already stands in record 0, with the same target",
        "its prompt already stands in record 0, with another target",
    ]


def test_start_and_size_count_the_records_of_the_file():
    raws = [knowedit(prompt=f"Fact {number} of Ada Brook is") for number in range(6)]
    raws[3] = knowedit(prompt="")
    records = read_records(raws, start=2, size=3)
    assert [record["index"] for record in records] == [2, 4]
    assert [problem.index for problem in records.problems] == [3]
    with pytest.raises(DataError, match="size -1"):
        read_records(raws, size=-1)


def test_a_slice_keeps_the_problems_of_its_own_records():
    records = read_records([knowedit(subject="Nobody"), knowedit(prompt="Ada Brook?", subject="Someone")])
    assert [problem.index for problem in records[1:].problems] == [1]
    assert [record["index"] for record in records[1:]] == [1]


def test_losses_are_logged_as_one_warning_and_notes_are_not(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="easyedit_ice"):
        read_records([knowedit(subject="Nobody")])
        assert not caplog.messages
        read_records([knowedit(), knowedit(prompt=""), probing([])], path="f.json")
    assert caplog.messages == ["f.json: 2 records; 1 x record left out, 1 x probe left out, 1 x note"]


def test_an_unknown_setting_of_on_error_is_refused():
    with pytest.raises(DataError, match=r"'ignore'.*'report' or 'raise'"):
        read_records([knowedit()], on_error="ignore")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[{]", "not valid JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{}", "a dict; expected a list"),
        (b"[]", "an empty list"),
    ],
)
def test_a_file_that_holds_no_records_is_refused_by_name(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "records.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as error:
        load_records(path)
    assert error.value.path == str(path)


def test_a_misspelt_name_is_refused_with_the_nearest_one():
    with pytest.raises(DataError, match=r"neither a file.*Did you mean 'wiki_recent'"):
        load_records("wiki-recent")


def test_the_embedded_world_reads_by_name_without_a_problem_that_costs_anything():
    records = load_records("factworld", split="dev", size=5, on_error="raise")
    assert len(records) == 5
    assert all(record["locality"] and record["rephrase_prompt"] for record in records)
