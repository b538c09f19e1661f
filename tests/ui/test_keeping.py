"""Edits of the page in an edit book."""

from __future__ import annotations

from dataclasses import replace

import pytest

from easyedit_ice.book import EditBook
from easyedit_ice.errors import BookError
from easyedit_ice.ui.keeping import follow, keep, open_book
from easyedit_ice.ui.workbench import Workbench


def test_what_is_in_the_model_is_kept_and_is_there_the_next_time(bench, made, tmp_path):
    edit = bench.put(made)
    assert keep(bench, tmp_path / "book") == (edit.name,)
    assert keep(bench, tmp_path / "book") == ()
    book = EditBook.open(tmp_path / "book")
    assert book.names == book.on == (edit.name,)
    assert book[edit.name].verdict["took"]
    assert bench.unkept == ()
    bench.hold(())
    again = Workbench(bench.model, bench.tok, bench.name)
    open_book(again, tmp_path / "book")
    assert again.within == (edit.name,)
    assert again.ask(["Faeso Faerkov has a job at"])[0].within == "Rinex Brothers"
    again.hold(())


def test_an_edit_is_kept_with_those_it_was_made_with_and_the_book_is_on_where_the_model_is(bench, made, tmp_path):
    first = bench.put(made)
    second = bench.put(replace(made, made_with=bench.within, request=replace(made.request, subject="Other")))
    bench.hold([second.name])
    assert keep(bench, tmp_path / "book") == (first.name, second.name)
    book = EditBook.open(tmp_path / "book")
    assert book.on == (second.name,)
    assert book.stale == ()
    bench.hold([first.name])
    follow(bench, book)
    assert book.on == (first.name,)


def test_nothing_is_kept_of_a_model_without_edits(bench, tmp_path):
    with pytest.raises(BookError, match="edit a fact first"):
        keep(bench, tmp_path / "book")
    assert not (tmp_path / "book").exists()


def test_a_book_that_has_another_edit_of_the_name_is_left_alone(bench, made, tmp_path):
    bench.put(made)
    keep(bench, tmp_path / "book")
    bench.hold(())
    other = Workbench(bench.model, bench.tok, bench.name)
    other.put(made)
    with pytest.raises(BookError, match="another folder"):
        keep(other, tmp_path / "book")
    other.hold(())
    assert len(EditBook.open(tmp_path / "book")) == 1
