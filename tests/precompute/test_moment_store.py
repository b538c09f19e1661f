"""Second moments on disk are found again, and refused where they cannot be trusted."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from easyedit_ice.errors import DamagedFileError
from easyedit_ice.precompute.moment_store import MOMENTS, Origin, load_moment, save_moment

ORIGIN = Origin("here/gpt2", "ab" * 32, "h.1.mlp.c_proj", "wiki", "cd" * 32, 80, 128, "float64")
MOMENT = torch.eye(8, dtype=torch.float64) / 3


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_what_was_saved_is_found_to_the_bit() -> None:
    assert load_moment(ORIGIN) is None
    save_moment(ORIGIN, MOMENT, 80)
    moment, counted = load_moment(ORIGIN)
    assert torch.equal(moment, MOMENT)
    assert counted == 80


def test_fp32_takes_half_the_space() -> None:
    save_moment(replace(ORIGIN, dtype="float32"), MOMENT, 80)
    moment, _ = load_moment(replace(ORIGIN, dtype="float32"))
    assert torch.equal(moment, MOMENT.float().double())


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "0" * 64},
        {"module": "h.2.mlp.c_proj"},
        {"text_hash": "0" * 64},
        {"tokens": 160},
        {"longest": 64},
        {"dtype": "float32"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_was_measured_on_something_else_is_not_found(change: dict) -> None:
    save_moment(ORIGIN, MOMENT, 80)
    assert load_moment(replace(ORIGIN, **change)) is None


def test_other_names_for_the_same_are_found() -> None:
    save_moment(ORIGIN, MOMENT, 80)
    assert load_moment(replace(ORIGIN, model="there/gpt2", text="/tmp/wiki.txt")) is not None


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def _rewrite(path: Path, **notes: str) -> None:
    origin = json.dumps({name: getattr(ORIGIN, name) for name in ORIGIN.__dataclass_fields__})
    kept = {"format": "1", "origin": origin, "counted": "80", "checksum": "0"} | notes
    save_file(load_file(path), path, metadata={name: value for name, value in kept.items() if value})


DAMAGES = {
    "has other values": _flip_a_bit,
    "cannot be read": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "cannot be read ": lambda path: path.write_text("not safetensors at all, but long enough to be looked at"),
    "lacks its notes": lambda path: _rewrite(path, origin="{}"),
    "lacks its notes ": lambda path: _rewrite(path, counted=""),
    "is not of format 1": lambda path: _rewrite(path, format="0"),
    "has other values ": lambda path: _rewrite(path),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_a_damaged_file_is_refused_with_the_remedy(words: str) -> None:
    save_moment(ORIGIN, MOMENT, 80)
    DAMAGES[words](ORIGIN.path)
    with pytest.raises(DamagedFileError, match=rf"{ORIGIN.path.name} {words.strip()}.*internals stats clear"):
        load_moment(ORIGIN)


def test_a_file_under_anothers_name_is_refused() -> None:
    other = replace(ORIGIN, weights="0" * 64, tokens=8)
    save_moment(ORIGIN, MOMENT, 80)
    shutil.copy(ORIGIN.path, other.path)
    with pytest.raises(DamagedFileError, match="another weights and tokens than its name says"):
        load_moment(other)


def test_the_first_of_two_processes_that_save_at_once_wins() -> None:
    save_moment(ORIGIN, MOMENT, 80)
    save_moment(ORIGIN, 2 * MOMENT, 80)
    assert torch.equal(load_moment(ORIGIN)[0], MOMENT)
    assert [path.name for path in MOMENTS.folder.iterdir()] == [ORIGIN.path.name]


def test_files_are_listed_and_deleted() -> None:
    assert list(MOMENTS.entries()) == []
    save_moment(ORIGIN, MOMENT, 80)
    save_moment(replace(ORIGIN, module="h.2.mlp.c_proj"), MOMENT, 79)
    assert sorted((entry.about.origin.module, entry.about.counted) for entry in MOMENTS.entries()) == [
        ("h.1.mlp.c_proj", 80),
        ("h.2.mlp.c_proj", 79),
    ]
    ORIGIN.path.write_text("damaged")
    with pytest.raises(DamagedFileError, match="cannot be read"):
        list(MOMENTS.entries())
    assert MOMENTS.clear() == 2
    assert list(MOMENTS.entries()) == []
