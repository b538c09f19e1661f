"""A folder of experts."""

from __future__ import annotations

import pytest
from made_experts import FP32, expert

from easyedit_ice.errors import ExpertError
from easyedit_ice.experts import Library


@pytest.fixture
def library(tmp_path):
    model = FP32[0].build()
    library = Library(tmp_path / "experts")
    library.save([expert(model, "two", 2), expert(model, "one", 1)])
    return library


def test_a_folder_that_is_not_there_has_no_experts(tmp_path):
    assert Library(tmp_path / "none").names() == []
    assert Library(tmp_path / "none").load() == []


def test_names_are_listed_and_everything_else_is_passed_over(library):
    (library.folder / "notes").mkdir()
    (library.folder / "readme.txt").write_text("")
    assert library.names() == ["one", "two"]


def test_all_or_some_are_loaded(library):
    assert [own.name for own in library.load()] == ["one", "two"]
    assert [own.name for own in library.load(["two"])] == ["two"]


def test_an_unknown_name_is_refused_with_the_known_ones(library):
    with pytest.raises(ExpertError, match=r"no expert 'tow'. Did you mean 'two'\? It has: one, two"):
        library.expert("tow")


def test_one_is_deleted_and_the_others_stay(library):
    library.delete("one")
    assert library.names() == ["two"]


def test_what_is_no_expert_is_not_deleted(library):
    (library.folder / "notes").mkdir()
    (library.folder / "one" / "thesis.txt").write_text("mine")
    for name, why in (("notes", "no expert"), ("..", "no expert"), ("one", "thesis.txt")):
        with pytest.raises(ExpertError, match=why):
            library.delete(name)
    assert (library.folder / "notes").is_dir()
    assert library.names() == ["one", "two"]


def test_a_damaged_expert_can_be_deleted(library):
    (library.folder / "one" / "expert.safetensors").write_bytes(b"damaged")
    library.delete("one")
    assert library.names() == ["two"]
