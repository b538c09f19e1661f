"""What the page's buttons do, and say."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from typed_facts import FACT

from easyedit_ice.ui.desk import Desk


@pytest.fixture
def desk(bench, made, monkeypatch):
    """A desk on which every edit of FACT is made at once."""
    monkeypatch.setattr(type(bench), "make", lambda self, fact, *_: replace(made, made_with=self.within))
    return Desk(bench)


def test_an_edit_that_took_is_in_the_model_and_can_be_undone(desk, tmp_path):
    seen = desk.edit(FACT, None)
    assert "is in the model" in seen.message
    assert "Balmax Group" in seen.body
    assert "1 edit in the model" in desk.state
    assert "Not in a book yet" in desk.state
    assert [name for _, name in desk.choices] == list(desk.bench.within)
    assert "Taken out: faeso-faerkov-rinex-brothers" in desk.undo_last(str(tmp_path)).message
    assert "every weight has the bits" in desk.state


def test_an_edit_that_did_not_take_is_not_in_the_model_unless_asked_for(desk, made, monkeypatch):
    fact = replace(made.verdict.facts[0], written=False)
    missed = replace(made, verdict=replace(made.verdict, facts=(fact,), advice=("Take another one.",)))
    monkeypatch.setattr(type(desk.bench), "make", lambda *_: missed)
    seen = desk.edit(FACT, None)
    assert "did not take" in seen.message
    assert "Next: Take another one." in seen.body
    assert desk.bench.untouched
    desk.take(seen.trials, 0)
    assert len(desk.bench.within) == 1


def test_two_methods_stand_side_by_side_and_either_can_be_taken(desk):
    seen = desk.compare(FACT, ["FastMEMIT", "LoRA-BF"])
    assert seen.body.count("ice-trial") == 2
    assert desk.bench.untouched
    assert "is in the model" in desk.take(seen.trials, 1).message
    assert "choose two methods" in desk.compare(FACT, ["LoRA-BF", "LoRA-BF"]).message


def test_a_kept_edit_that_is_taken_out_is_off_in_its_book(desk, tmp_path):
    from easyedit_ice.book import EditBook

    desk.edit(FACT, None)
    folder = str(tmp_path / "book")
    assert "Kept in" in desk.keep(folder).message
    assert "Not in a book yet" not in desk.state
    desk.hold((), folder)
    assert EditBook.open(folder).on == ()


def test_a_tab_whose_list_is_out_of_date_takes_nothing_out(desk, tmp_path):
    desk.edit(FACT, None)
    before = desk.bench.within
    for act in (desk.hold((), "", ()), desk.undo_last("", ("an edit of before",))):
        assert "Another tab has changed the model" in act.message
    assert desk.bench.within == before
    assert "Taken out" in desk.undo_last("", before).message


def test_a_tab_that_is_opened_during_an_edit_is_told_of_it(desk):
    inside, leave = threading.Event(), threading.Event()

    def editing() -> None:
        with desk.bench.alone():
            inside.set()
            leave.wait(10)

    tab = threading.Thread(target=editing)
    tab.start()
    inside.wait(10)
    try:
        assert "being edited just now" in desk.state
    finally:
        leave.set()
        tab.join()
    assert "every weight has the bits" in desk.state


def test_another_model_is_not_loaded_over_an_edit_that_nobody_kept(desk):
    desk.edit(FACT, None)
    before = desk.bench
    assert "would be lost" in desk.load_model("gpt2-factworld").message
    assert desk.bench is before


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda desk: desk.edit(replace(FACT, target="  "), None), "is empty; write something there"),
        (lambda desk: desk.load_model("/no/such/folder"), "/no/such/folder"),
        (lambda desk: desk.keep("/proc/nowhere"), "edit a fact first"),
        (lambda desk: desk.ask(" \n"), "Write a line"),
        (lambda desk: desk.take((), 0), "edit or compare first"),
        (lambda desk: desk.hold(["<b>nothing"], ""), "&lt;b&gt;nothing"),
    ],
)
def test_errors_are_told_in_words(desk, act, words):
    seen = act(desk)
    assert words in seen.message
    assert "ice-bad" in seen.message
    assert "Traceback" not in seen.message


def test_what_nobody_expected_is_told_in_words_and_logged(desk, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(type(desk.bench), "make", broken)
    assert "ZeroDivisionError: of all things" in desk.edit(FACT, None).message
    assert "Traceback" in caplog.text
