"""A process that is killed at any file operation leaves a book that can be read, as it was or as it was to be."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import peft  # noqa: F401 - once, and not in each process
import pytest
import torch

from easyedit_ice import EditBook, WeightUpdate
from easyedit_ice.book.book_export import export_peft
from easyedit_ice.edit.base_model import as_info, base_of
from easyedit_ice.edit.delta import LowRankDelta
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import SHAPES

KILLED = 9
_OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.link", "os.truncate")


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return SHAPES[0].build()


@pytest.fixture
def book(model: torch.nn.Module, tmp_path: Path) -> EditBook:
    book = EditBook.create(tmp_path / "book", model)
    for name in ("a", "b"):
        book.add(name, an_update(model))
    return book


def an_update(model: torch.nn.Module) -> WeightUpdate:
    p = ModelAnatomy(model).projections[0]
    delta = LowRankDelta(torch.ones(1, p.in_features), torch.ones(p.out_features, 1))
    return WeightUpdate({p.name: delta}, {"base": as_info(base_of(model))})


def killed_at(operation: int, folder: Path, act: Callable[[], object]) -> bool:
    """Act in a process that is killed at its n-th file operation under a folder; whether it came so far."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    left = operation

    def watch(event: str, arguments: tuple) -> None:
        nonlocal left
        if event in _OPERATIONS and str(folder) in str(arguments[0]):
            if left == 0:
                os._exit(KILLED)
            left -= 1

    sys.addaudithook(watch)
    try:
        act()
        os._exit(0)
    except BaseException:
        os._exit(1)


def _readable(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    book = EditBook.open(folder)
    for name in book.names:
        book[name].check()
        book[name].update.norms()
    return book.names, book.on, tuple(book[name].key.rpartition("-")[2] for name in book.names)


ACTS = {
    "add": lambda book, model: book.add("c", an_update(model)),
    "overwrite": lambda book, model: book.add("a", an_update(model), overwrite=True),
    "remove": lambda book, model: book.remove("a"),
    "switch": lambda book, model: book.switch("b", False),
}


@pytest.mark.parametrize("name", ACTS)
def test_a_kill_at_any_file_operation_leaves_a_readable_book(book, model, name, tmp_path):
    before, act, seen = _readable(book.folder), ACTS[name], set()
    for operation in range(200):
        copy = Path(shutil.copytree(book.folder, tmp_path / f"copy-{operation}"))
        ended = not killed_at(operation, copy, lambda copy=copy: act(EditBook.open(copy), model))
        after = _readable(copy)
        seen.add(after == before)
        EditBook.open(copy).switch(None, True)
        assert not [path for path in copy.rglob(".easyedit-ice-*")]
        if ended:
            break
    assert ended
    assert operation > 4
    assert seen == {True, False}
    assert after != before
    done = EditBook.open(copy)
    assert len(list((copy / "edits").iterdir())) == len(done)


def test_a_kill_while_a_book_is_made_leaves_none_or_an_empty_one(model, tmp_path):
    for operation in range(50):
        folder = tmp_path / f"book-{operation}"
        ended = not killed_at(operation, folder, lambda folder=folder: EditBook.create(folder, model))
        if not (folder / "book.json").exists():
            EditBook.create(folder, model)
        assert EditBook.open(folder).names == ()
        if ended:
            break
    assert operation > 2


def test_a_kill_while_exporting_leaves_no_half_of_an_export(book, model, tmp_path):
    for operation in range(100):
        folder = tmp_path / f"exports-{operation}" / "adapter"
        act = lambda folder=folder: export_peft(book, model, folder)  # noqa: E731
        ended = not killed_at(operation, folder.parent, act)
        if ended:
            break
        assert not folder.exists() or (folder / "edits.json").stat().st_size
    assert ended
    assert (folder / "adapter_model.safetensors").exists()
    assert operation > 4
