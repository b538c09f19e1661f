"""What is kept in the cache is found by what it depends on, listed, cleared, and refused where it is damaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from easyedit_ice.errors import DamagedFileError
from easyedit_ice.runtime.store import Store, TensorStore

THINGS = TensorStore("things", "3", "or run it again", "*.safetensors", lambda notes: int(notes["size"]))
TEXTS = Store("texts", "1", "or write it again", "*/*.json")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_things_name_is_a_hash_of_the_format_and_of_all_it_depends_on() -> None:
    digest = hashlib.sha256(json.dumps(["3", {"a": 1, "b": "x"}]).encode()).hexdigest()
    assert THINGS.path_of({"b": "x", "a": 1}) == THINGS.folder / f"{digest[:24]}.safetensors"


def test_tensors_are_kept_with_their_notes_and_listed() -> None:
    path = THINGS.path_of("one")
    THINGS.save(path, {"x": torch.ones(2)}, {"size": "2"})
    assert torch.equal(THINGS.tensors(path)["x"], torch.ones(2))
    assert [(entry.path, entry.about, entry.size) for entry in THINGS.entries()] == [(path, 2, path.stat().st_size)]


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({"format": "2", "size": "1"}, "is not of format 3"),
        ({}, "lacks its notes"),
        ({"size": "two"}, "lacks its notes"),
    ],
)
def test_other_notes_are_refused_with_the_remedy(notes: dict[str, str], words: str) -> None:
    path = THINGS.path_of("one")
    THINGS.save(path, {"x": torch.ones(2)}, notes)
    with pytest.raises(DamagedFileError, match=rf"{path.name} {words}.*; delete it, or run it again"):
        THINGS.about(path)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[1]"], ids=["cut", "no text", "a list"])
def test_json_that_is_something_else_is_refused_with_the_remedy(content: bytes) -> None:
    path = TEXTS.folder / "one" / "0.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"0\.json cannot be read .*; delete it, or write it again"):
        TEXTS.read_json(path, lambda kept: kept["text"])


def test_clearing_leaves_nothing_of_the_things_and_all_else() -> None:
    for name in ("one/0.json", "one/1.json", "two/0.json", "two/notes.txt"):
        (TEXTS.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (TEXTS.folder / name).write_text("{}")
    assert TEXTS.clear() == 3
    assert [path.relative_to(TEXTS.folder).as_posix() for path in sorted(TEXTS.folder.rglob("*"))] == [
        "two",
        "two/notes.txt",
    ]
