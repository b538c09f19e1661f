"""Benchmarks by name, through `datasets`."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from easyedit_ice.data import BENCHMARKS, load_records
from easyedit_ice.errors import DataError

RAWS = [
    {
        "subject": "Ada Brook",
        "prompt": "The employer of Ada Brook is",
        "target_new": "Nordwell",
        "portability": {"Reasoning": [{"prompt": "Her firm is in", "ground_truth": [["Sundvik"]]}]},
        "locality": {"Forgetfulness": [{"prompt": "She was born in", "ground_truth": [["Mara"], []]}]},
    },
    {
        "subject": "Bo Lind",
        "prompt": "The employer of Bo Lind is",
        "target_new": "Halden",
        "ground_truth": "Nordwell",
        "portability": {},
        "locality": {"Relation_Specificity": [{"prompt": "He was born in", "ground_truth": [[]]}]},
    },
]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Serve local files where the hub would serve its own, through the same JSON builder."""
    real = datasets.load_dataset
    asked: list[tuple[str, str]] = []

    def serve(file: Path) -> list[tuple[str, str]]:
        def load(repository: str, *, data_files: str, split: str):
            asked.append((repository, data_files))
            return real("json", data_files=str(file), split=split, cache_dir=str(tmp_path / "cache"))

        monkeypatch.setattr(datasets, "load_dataset", load)
        return asked

    return serve


def same_but_for_path(left, right) -> bool:
    problems = [[(p.index, p.severity, p.reason) for p in records.problems] for records in (left, right)]
    return left.records == right.records and problems[0] == problems[1]


def test_a_download_reads_the_same_as_its_file(served, tmp_path: Path):
    file = tmp_path / "recent.json"
    file.write_text(json.dumps(RAWS), encoding="utf-8")
    asked = served(file)
    downloaded = load_records("wiki_recent", split="train")
    assert asked == [("zjunlp/KnowEdit", "benchmark/wiki_recent/recent_train.json")]
    assert downloaded.path == "wiki_recent/train"
    assert same_but_for_path(downloaded, load_records(file))
    assert [problem.index for problem in downloaded.problems] == [0, 1]


@pytest.mark.parametrize("file", ["wiki_counterfact/train_cf.json", "ZsRE/ZsRE-test-dev.json"])
def test_a_published_file_downloads_as_it_reads(served, shared_data: Path, file: str):
    path = shared_data / file
    served(path)
    assert same_but_for_path(load_records("wiki_counterfact"), load_records(path))


def test_counterfact_by_name_reads_as_its_file(monkeypatch, shared_data: Path):
    path = shared_data / "counterfact/counterfact_rome_dev.json"
    raws = json.loads(path.read_text(encoding="utf-8"))
    asked = []

    def serve(repository: str, *, split: str):
        asked.append((repository, split))
        return datasets.Dataset.from_list(raws)

    monkeypatch.setattr(datasets, "load_dataset", serve)
    assert same_but_for_path(load_records("counterfact"), load_records(path))
    assert asked == [("azhx/counterfact", "test")]


def test_names_do_not_mind_their_case(served, tmp_path: Path):
    file = tmp_path / "zsre.json"
    file.write_text(json.dumps(RAWS), encoding="utf-8")
    served(file)
    assert len(load_records("ZsRE")) == 2


def test_without_a_connection_the_error_names_the_file_and_the_way_out(monkeypatch: pytest.MonkeyPatch):
    def offline(*args, **kwargs):
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DataError, match=r"test_cf\.json of zjunlp/KnowEdit.*give its path") as error:
        load_records("wiki_counterfact")
    assert error.value.path == "wiki_counterfact"


def test_a_split_the_benchmark_lacks_is_refused():
    assert "train" not in BENCHMARKS["zsre"].splits
    with pytest.raises(DataError, match="zsre has no split 'train'; choose one of 'test'"):
        load_records("zsre", split="train")
