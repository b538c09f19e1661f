"""Our records against EasyEdit's own dataset classes, on the same published files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hosts import found_in_host

from easyedit_ice.data import Records, load_records, to_edit_kwargs, to_requests

KNOWEDIT_FILES = (
    "wiki_counterfact/train_cf.json",
    "wiki_counterfact/test_cf_dev.json",
    "wiki_recent/recent_train.json",
    "ZsRE/ZsRE-test-dev.json",
    "WikiBio/wikibio-train-all.json",
)
SCRIPT = Path(__file__).with_name("easyedits_records.py")
OTHER_FILES = {
    "CounterFactDataset": "counterfact/counterfact-val.json",
    "ZsreDataset": "zsre/zsre_mend_eval_dev.json",
}
SECTIONS = {
    ("portability", "Reasoning"): "portability_r",
    ("portability", "Subject_Aliasing"): "portability_s",
    ("portability", "Logical_Generalization"): "portability_l",
    ("locality", "Relation_Specificity"): "locality_rs",
    ("locality", "Forgetfulness"): "locality_f",
}


@pytest.fixture(scope="module")
def theirs(shared_data: Path) -> dict[str, list[dict[str, Any]]]:
    """What EasyEdit's head reads, by file."""
    folder = shared_data.resolve()
    wanted = [("KnowEditDataset", str(folder / file)) for file in KNOWEDIT_FILES]
    wanted += [(name, str(folder / file)) for name, file in OTHER_FILES.items()]
    return found_in_host("head", SCRIPT, json.dumps(wanted))


def first_alias(truth: Any) -> str | None:
    """EasyEdit's runner takes the first of the first until it has text, and fails where there is none."""
    while isinstance(truth, list):
        if not truth:
            return None
        truth = truth[0]
    return truth if truth.strip() else None


def as_in_their_runner(item: dict[str, Any], key: str) -> list[tuple[str, str]] | None:
    """Prompts and answers of one kind, without those their runner skips or fails on; ``None`` for none."""
    answered = [(probe["prompt"], first_alias(probe["ground_truth"])) for probe in item[key] or ()]
    return [(prompt, answer) for prompt, answer in answered if answer is not None] or None


def ours_of_kind(kwargs: dict[str, Any], section: str, kind: str, index: int) -> list[tuple[str, str]] | None:
    probes = kwargs.get(f"{section}_inputs", {}).get(kind)
    if probes is None or probes["prompt"][index] is None:
        return None
    return list(zip(probes["prompt"][index], probes["ground_truth"][index], strict=True))


def with_subject_in_prompt(records: Records) -> list[dict[str, Any]]:
    return [record for record in records if record["subject"] in record["prompt"]]


@pytest.mark.slow
@pytest.mark.parametrize("file", KNOWEDIT_FILES)
def test_edit_arguments_equal_those_of_easyedits_knowedit_runner(shared_data: Path, theirs: dict, file: str):
    records = load_records(shared_data / file)
    items = theirs[str(shared_data.resolve() / file)]
    assert len(items) == len(records)
    editable = with_subject_in_prompt(records)
    kwargs = to_edit_kwargs(editable)
    rescued = {problem.index for problem in records.problems if "first answer" in problem.reason}
    for place, record in enumerate(editable):
        item = items[record["index"]]
        assert kwargs["prompts"][place] == item["prompt"]
        assert kwargs["target_new"][place] == item["target_new"]
        assert kwargs["subject"][place] == item["subject"]
        for (section, kind), key in SECTIONS.items():
            ours, runner = ours_of_kind(kwargs, section, kind, place), as_in_their_runner(item, key)
            if record["index"] not in rescued:
                assert ours == runner
            else:
                assert set(runner or ()) <= set(ours or ())


@pytest.mark.slow
@pytest.mark.parametrize("name", list(OTHER_FILES))
def test_older_forms_equal_easyedits_own_datasets(shared_data: Path, theirs: dict, name: str):
    path = shared_data / OTHER_FILES[name]
    requests, items = to_requests(load_records(path)), theirs[str(path)]
    assert len(requests) == len(items)
    for request, item in zip(requests, items, strict=True):
        for key in ("prompt", "target_new", "ground_truth", "rephrase_prompt"):
            assert request[key] == item[key]
        assert request["locality"]["neighborhood"] == {
            "prompt": [item["locality_prompt"]],
            "ground_truth": [item["locality_ground_truth"]],
        }
