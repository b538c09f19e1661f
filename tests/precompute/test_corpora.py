"""Text for second moments, by name."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import datasets
import pytest

from easyedit_ice import factworld
from easyedit_ice.errors import DataError
from easyedit_ice.precompute.corpora import text_source
from easyedit_ice.testing.tiny_models import tokenizer


def _first(name: object, model: object, count: int = 3) -> list[str]:
    return list(islice(text_source(name, model, tokenizer()), count))


def test_the_embedded_model_reads_its_world_and_any_other_model_what_it_writes(model: object) -> None:
    embedded, tok = factworld.load()
    assert text_source("auto", embedded, tok).name == "factworld"
    assert text_source("auto", model, tokenizer()).name == "samples"
    assert _first("factworld", model) == list(factworld.general_text(3, seed=1))


def test_a_model_writes_the_same_each_time_and_without_end(model: object) -> None:
    source = text_source("samples", model, tokenizer())
    texts = list(islice(source, 300))
    assert list(islice(source, 300)) == texts
    assert len(set(texts)) > 290


def test_a_file_has_a_text_on_each_line(tmp_path: Path, model: object) -> None:
    file = tmp_path / "text.txt"
    file.write_text("one\n\ntwo ü\n   \nthree\n", encoding="utf-8")
    assert _first(str(file), model) == ["one", "two ü", "three"]


def test_a_folder_has_a_text_in_each_file(tmp_path: Path, model: object) -> None:
    (tmp_path / "deep").mkdir()
    for name, text in (("b.txt", "two\nlines"), ("a.txt", "one"), ("deep/c.txt", "three"), ("no.md", "not this")):
        (tmp_path / name).write_text(text)
    (tmp_path / "empty.txt").write_text("\n")
    assert _first(str(tmp_path), model) == ["one", "two\nlines", "three"]


def test_texts_at_hand_may_be_a_list_or_a_dataset(model: object) -> None:
    texts = ["one", "two"]
    assert _first(texts, model) == _first(datasets.Dataset.from_dict({"text": texts, "id": [1, 2]}), model) == texts
    assert _first(datasets.Dataset.from_dict({"words": texts}), model) == texts
    with pytest.raises(DataError, match="columns a, b; name one"):
        text_source(datasets.Dataset.from_dict({"a": texts, "b": texts}), model, tokenizer())


def test_a_dataset_is_streamed_and_its_column_can_be_named(tmp_path: Path, model: object) -> None:
    rows = '{"text": "one", "other": "1"}\n{"text": "two", "other": "2"}\n'
    (tmp_path / "train.jsonl").write_text(rows)
    assert _first(str(tmp_path), model) == ["one", "two"]
    assert _first(f"{tmp_path}:default:other", model) == ["1", "2"]


def test_the_same_words_have_the_same_fingerprint_wherever_they_lie(tmp_path: Path, model: object) -> None:
    for name, text in (("a.txt", "one\ntwo"), ("b.txt", "one\n\ntwo\n"), ("c.txt", "one\nthree")):
        (tmp_path / name).write_text(text)
    first, second, third = (text_source(str(tmp_path / f"{name}.txt"), model, tokenizer()) for name in "abc")
    assert first.fingerprint == second.fingerprint == text_source(["one", "two"], model, tokenizer()).fingerprint
    assert third.fingerprint != first.fingerprint


def test_a_name_of_nothing_is_refused_with_what_to_do(model: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(DataError, match=r"no-such-text.*no network.*'samples'"):
        _first("no-such-text", model)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path, model: object) -> None:
    file = tmp_path / "binary.txt"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"binary\.txt.*UTF-8"):
        _first(str(file), model)
