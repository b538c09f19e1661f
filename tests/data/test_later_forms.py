"""Published data sets in their authors' forms: what each record says, which probes it brings, what is wrong with it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from published_samples import (
    AKEW,
    AKEW_WIKI,
    EMPLOYER,
    FEVER,
    HALLUEDITBENCH,
    MQUAKE,
    QAEDIT,
    REMASTERED,
    RIPPLE,
    SAMPLES,
    UNKE,
    WIKIBIGEDIT,
)

from easyedit_ice import factworld
from easyedit_ice.data import BENCHMARKS, Severity, load_records, read_records, to_requests
from easyedit_ice.data.fact_files import read_facts
from easyedit_ice.data.published_forms import recognise
from easyedit_ice.easyedit.plugin.registration import base_editor
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.errors import DataError
from easyedit_ice.evaluation import questions

BROKEN: dict[str, dict[str, Any]] = {
    "wikibigedit": {"ans": None},
    "ultraeditbench": {"ans": " "},
    "zsre-ans": {"ans": 3},
    "fever": {"alt": None},
    "mquake": {"requested_rewrite": [EMPLOYER | {"target_new": None}]},
    "akew": {"requested_rewrite": AKEW["requested_rewrite"] | {"fact_new_uns": ""}},
    "akew-mquake": {"requested_rewrite": [EMPLOYER | {"fact_new_uns": ""}]},
    "unke": {"answer": None},
    "qaedit": {"target": []},
    "halluedit": {"object": None},
    "rippleedits": {"edit": RIPPLE["edit"] | {"prompt": None}},
}
"""Samples without an answer that can be used."""


def only(raw: dict[str, Any]) -> dict[str, Any]:
    (record,) = read_records([raw])
    return record


def prompts(record: dict[str, Any], section: str, kind: str) -> list[tuple[str, list[list[str]]]]:
    return [(probe["prompt"], probe["ground_truth"]) for probe in record[section][kind]]


@pytest.mark.parametrize("name", SAMPLES)
def test_each_form_is_told_by_its_keys(name: str) -> None:
    assert recognise([SAMPLES[name]], "a file").name == name


@pytest.mark.parametrize("name", SAMPLES)
def test_each_record_is_a_request_that_can_be_asked_about(name: str, tmp_path: Path) -> None:
    path = tmp_path / "records.json"
    path.write_text(json.dumps([SAMPLES[name]]))
    records = load_records(path)
    assert records and not records.problems_of(Severity.PROBE)
    for request in to_requests(records):
        assert questions(EditRequest.from_dict(request))[0].measure == "rewrite"
        assert json.dumps(request)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_record_without_its_answer_is_left_out_and_reported(name: str) -> None:
    records = read_records([SAMPLES[name] | BROKEN[name]], form=name)
    assert not records
    assert [problem.severity for problem in records.problems] == [Severity.RECORD]


def test_wikibigedits_missing_questions_are_no_flaws() -> None:
    record = only(WIKIBIGEDIT | {"personas": None, "mhop": float("nan"), "mhop_ans": None})
    assert record["portability"] == {}
    assert only(WIKIBIGEDIT)["portability"].keys() == {"personas", "mhop"}
    assert record["locality"]["neighborhood"][0]["ground_truth"] == [["Halden"]]


def test_a_multi_hop_question_without_an_answer_is_left_out_and_reported() -> None:
    records = read_records([WIKIBIGEDIT | {"mhop_ans": None}])
    (problem,) = records.problems
    assert (problem.severity, "portability.mhop" in problem.reason) == (Severity.PROBE, True)


def test_a_cases_edits_are_records_of_their_own() -> None:
    first, last = read_records([MQUAKE])
    assert first["prompt"] == "Ada Brook is employed by"
    assert (first["target_new"], first["ground_truth"]) == ("Nordwell", ["Halden"])
    assert (first["rephrase_prompt"], first["relation_id"]) == ("Who employs Ada Brook?", "P108")
    assert first["portability"] == first["locality"] == {}
    assert [question for question, _ in prompts(last, "portability", "multi_hop_of_several")] == MQUAKE["questions"]
    assert prompts(last, "portability", "multi_hop_of_several")[0][1] == [["Mara", "Mara Town"]]
    assert prompts(last, "locality", "other_hops") == [("Which land is Mara in?", [["Lund", "Lunda"]])]
    assert first["index"] == last["index"] == 0


def test_the_remastered_files_are_read_like_the_original_ones() -> None:
    record = only(REMASTERED)
    assert (record["target_new"], record["ground_truth"]) == ("Nordwell", ["Halden"])
    assert len(record["portability"]["multi_hop"]) == 2
    assert record["split"] == {"1": ["edited"]}


def test_a_paragraph_is_written_and_its_facts_are_asked() -> None:
    for raw in (AKEW, AKEW_WIKI):
        record = only(raw)
        assert record["prompt"] == "Who employs Ada Brook?"
        assert record["target_new"].startswith("Ada Brook joined Nordwell")
        assert prompts(record, "portability", "structured") == [("Ada Brook is employed by", [["Nordwell"]])]
        assert prompts(record, "portability", "told")[1] == ("The yard of Nordwell was led by", [["Ada Brook"]])
        assert "ground_truth" not in record
    assert only(AKEW)["rephrase_prompt"] == "Tell me of Ada Brook's employer."


def test_the_single_fact_of_an_akew_file_can_be_asked_for() -> None:
    (record,) = read_records([AKEW | {"neighborhood_prompts": []}], form="counterfact-rome")
    assert (record["prompt"], record["target_new"]) == ("Ada Brook is employed by", "Nordwell")


def test_questions_on_parts_of_an_answer_come_with_it() -> None:
    assert prompts(only(UNKE), "portability", "sub_questions") == [
        ("What is her trade?", [["Welder."]]),
        ("Where does she work?", [["Nordwell."]]),
    ]
    records = read_records([UNKE | {"sub_answer": ["Welder."]}])
    assert len(records[0]["portability"]["sub_questions"]) == 1
    assert [problem.severity for problem in records.problems] == [Severity.PROBE]


def test_a_claims_other_wordings_are_asked() -> None:
    record = only(FEVER)
    assert record["rephrase_prompt"] == FEVER["equiv_prompt"][0]
    assert prompts(record, "portability", "equivalent") == [(FEVER["equiv_prompt"][1], [["SUPPORTS"]])]
    assert prompts(record, "locality", "neighborhood") == [(FEVER["unrel_prompt"], [["REFUTES"]])]


def test_qaedits_questions_of_locality_are_all_asked() -> None:
    assert [answer for _, answer in prompts(only(QAEDIT), "locality", "neighborhood")] == [[["Halden"]], [["Lund"]]]


def test_a_table_of_hallucinations_is_read_with_its_own_probes(tmp_path: Path) -> None:
    path = tmp_path / "business_brand.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*HALLUEDITBENCH, "question_3hop", "answer_3hop"])
        writer.writeheader()
        writer.writerow(HALLUEDITBENCH)
    (record,) = load_records(path)
    assert record["ground_truth"] == ["Halden"]
    assert prompts(record, "portability", "yes") == [(HALLUEDITBENCH["yes_question"], [["Yes"]])]
    assert prompts(record, "portability", "no") == [(HALLUEDITBENCH["no_question"], [["No"]])]
    assert prompts(record, "portability", "multiple_choice")[0][1] == [["B"]]
    assert record["portability"].keys() == {"yes", "no", "multiple_choice", "reversed_relation", "2hop"}


def test_a_sentence_and_identifiers_become_prompt_subject_and_answers() -> None:
    record = only(RIPPLE)
    assert record["prompt"] == "The name of the country of citizenship of Ada Brook is"
    assert (record["target_new"], record["ground_truth"]) == ("North Lund", ["North Mara"])
    assert record["subject"] == "Ada Brook"
    assert record["locality"].keys() == {"Relation_Specificity"}
    assert record["portability"].keys() == {"Subject_Aliasing", "Compositionality_I"}
    assert prompts(record, "locality", "Relation_Specificity")[0][1] == [["Eva Brook", "EVA BROOK"]]


def test_answers_that_begin_alike_are_told_apart_without_a_query_that_has_them() -> None:
    record = only(RIPPLE | {"Subject_Aliasing": []})
    assert (record["target_new"], record["ground_truth"]) == ("North Lund", ["North Mara"])


def test_an_edit_whose_answer_nothing_tells_is_left_out_and_reported() -> None:
    edit = {key: value for key, value in RIPPLE["edit"].items() if key != "previous_fact"}
    records = read_records([RIPPLE | {"edit": edit, "example_type": "recent", "Subject_Aliasing": []}])
    assert not records and records.problems[0].severity is Severity.RECORD


def test_json_lines_are_read_whatever_the_files_name(tmp_path: Path) -> None:
    path = tmp_path / "UltraEditBench_2M.json"
    path.write_text("".join(json.dumps(SAMPLES["ultraeditbench"] | {"case_id": n}) + "\n" for n in range(3)))
    assert [record["case_id"] for record in load_records(path)] == [0, 1, 2]
    path.write_text(json.dumps(SAMPLES["ultraeditbench"]) + "\n{broken\n")
    with pytest.raises(DataError, match="line 2"):
        load_records(path)


def test_the_command_line_reads_them_as_files_of_facts(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps([QAEDIT]))
    assert read_facts(path)[0]["target_new"] == "Nordwell"
    path.write_text(json.dumps([{"prompt": "Ada Brook is employed by", "target": "Nordwell"}]))
    assert read_facts(path) == [{"prompt": "Ada Brook is employed by", "target_new": "Nordwell"}]


def test_odd_values_in_any_place_are_reported_and_never_raise() -> None:
    for name, sample in SAMPLES.items():
        for key in sample:
            for odd in (None, 3, "", [], {}, [None], [3], {"x": 1}, [{}]):
                records = read_records([sample | {key: odd}], form=name)
                to_requests(records)
                assert len(records) or records.problems, (name, key, odd)


def test_benchmarks_of_the_hub_have_the_splits_of_their_repositories() -> None:
    splits = list(BENCHMARKS["wikibigedit"].splits)
    assert (splits[0], splits[-1], len(splits)) == ("20240201_20240220", "20240620_20240701", 8)
    with pytest.raises(DataError, match="CF3k"):
        load_records("mquake", split="test")


@pytest.mark.slow
def test_easyedits_editor_takes_the_requests_of_the_forms_that_are_built_up_most() -> None:
    hparams = LoraHyperParams(model_name=str(factworld.model_path()), num_steps=1, device="cpu")
    editor = base_editor().from_hparams(hparams)
    forms = ("mquake", "akew", "rippleedits")
    requests = [request for name in forms for request in to_requests(read_records([SAMPLES[name]]))]
    metrics, _, _ = editor.edit_requests(requests, keep_original_weight=True, verbose=False)
    assert len(metrics) == len(requests) == len(forms) + 1
    assert all("rewrite_acc" in own["post"] for own in metrics)
