"""The published files and their known traps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easyedit_ice.data import Severity, load_records, to_edit_kwargs, to_requests
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import DataError, SubjectNotFoundError

FILES = (
    "wiki_counterfact/train_cf.json",
    "wiki_counterfact/test_cf_dev.json",
    "wiki_recent/recent_train.json",
    "ZsRE/ZsRE-test-dev.json",
    "WikiBio/wikibio-train-all.json",
    "counterfact/counterfact-val.json",
    "counterfact/counterfact_rome_dev.json",
    "zsre/zsre_mend_eval_dev.json",
)


def probes(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for section in ("locality", "portability"):
        for kind, items in record.get(section, {}).items():
            for number, item in enumerate(items):
                yield f"{section}.{kind}[{number}]", item


@pytest.mark.parametrize("file", FILES)
def test_every_record_is_read_or_reported_and_can_be_edited(shared_data: Path, file: str):
    path = shared_data / file
    raws = json.loads(path.read_text(encoding="utf-8"))
    records = load_records(path)
    left_out = {problem.index for problem in records.problems_of(Severity.RECORD)}
    assert sorted([record["index"] for record in records] + list(left_out)) == list(range(len(raws)))
    assert all(EditRequest.from_dict(request).prompt for request in to_requests(records))


@pytest.mark.parametrize("file", FILES[:5])
def test_every_probe_is_read_or_reported(shared_data: Path, file: str):
    raws = json.loads((shared_data / file).read_text(encoding="utf-8"))
    records = load_records(shared_data / file)
    published = sum(1 for raw in raws for _ in probes(raw))
    read = sum(1 for record in records for _ in probes(record))
    assert published == read + len(records.problems_of(Severity.PROBE))


@pytest.mark.parametrize(
    ("file", "count"), [("wiki_counterfact/test_cf_dev.json", 11), ("wiki_recent/recent_train.json", 9)]
)
def test_probes_whose_first_answer_has_no_alias_are_each_reported(shared_data: Path, file: str, count: int):
    raws = json.loads((shared_data / file).read_text(encoding="utf-8"))
    empty = {
        (index, where) for index, raw in enumerate(raws) for where, probe in probes(raw) if not probe["ground_truth"][0]
    }
    found = {
        (problem.index, problem.reason.split(" ")[0])
        for problem in load_records(shared_data / file).problems
        if "no answer to score" in problem.reason or "no alias for its first answer" in problem.reason
    }
    assert len(empty) == count
    assert found == empty


def test_zsre_subjects_outside_their_prompts_are_refused_by_name_where_a_subject_is_needed(shared_data: Path):
    records = load_records(shared_data / "ZsRE/ZsRE-test-dev.json")
    noted = [problem for problem in records.problems if "does not occur in the prompt" in problem.reason]
    assert [problem.index for problem in noted] == [396, 597]
    assert "Rio Grande 463" in noted[0].reason
    with pytest.raises(DataError, match=r"records \[396, 597\]"):
        to_edit_kwargs(records)
    with pytest.raises(SubjectNotFoundError, match="Rio Grande 463"):
        EditRequest.prepare([records[396]], needs_subject=True)


@pytest.mark.parametrize(("file", "count"), [("wiki_counterfact/test_cf_dev.json", 6), ("ZsRE/ZsRE-test-dev.json", 5)])
def test_repeated_prompts_are_noted(shared_data: Path, file: str, count: int):
    problems = load_records(shared_data / file).problems_of(Severity.NOTE)
    assert sum("its prompt already stands in record" in problem.reason for problem in problems) == count


def test_forgetfulness_that_expects_the_new_target_is_noted(shared_data: Path):
    records = load_records(shared_data / "wiki_recent/recent_train.json")
    noted = {problem.index for problem in records.problems if "expects the new target" in problem.reason}
    by_index = {record["index"]: record for record in records}
    assert len(noted) == 197
    assert all(
        by_index[index]["locality"]["Forgetfulness"][0]["ground_truth"][0][0] == by_index[index]["target_new"]
        for index in noted
    )


def test_wikibio_edits_its_sentences(shared_data: Path):
    path = shared_data / "WikiBio/wikibio-train-all.json"
    raw = json.loads(path.read_text(encoding="utf-8"))[0]
    kwargs = to_edit_kwargs(load_records(path, size=1))
    assert (kwargs["prompts"], kwargs["target_new"], kwargs["subject"]) == (
        [raw["text"]],
        [raw["labels"]],
        [raw["concept"]],
    )
