"""A model with edits that are put in and taken out."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from typed_facts import FACT

from easyedit_ice.edit.base_model import fingerprint_of
from easyedit_ice.errors import BookConflictError, ModelInUseError, SubjectNotFoundError, UpdateError
from easyedit_ice.ui.typed_fact import TypedFact


def test_making_an_edit_leaves_the_model_alone_and_asks_every_wording(bench, made):
    assert bench.untouched
    assert made.verdict.took
    assert made.request.subject == "Faeso Faerkov"
    asked = [wording.prompt for wording in made.verdict.wordings if wording.kind == "rephrase"]
    assert asked == list(FACT.otherwise)
    assert all(wording.before == "Balmax Group" for wording in made.verdict.wordings if wording.kind == "rephrase")
    assert dict(made.verdict.figures())["in your other wordings"].endswith("of 2")


def test_an_edit_is_in_the_model_and_out_of_it_to_the_same_bits(bench, made):
    edit = bench.put(made)
    assert edit.name == "faeso-faerkov-rinex-brothers"
    assert bench.within == (edit.name,)
    assert not bench.untouched
    (answered,) = bench.ask(["Faeso Faerkov has a job at", "  "])
    assert (answered.without, answered.within) == ("Balmax Group", "Rinex Brothers")
    bench.hold(())
    assert bench.untouched


def test_edits_go_in_and_out_in_any_order_and_the_bits_are_those_of_the_same_edits(bench, made):
    first = bench.put(made)
    second = bench.put(replace(made, made_with=bench.within, request=replace(made.request, subject="Other")))
    both = fingerprint_of(bench.model)
    bench.hold([second.name])
    bench.hold([second.name, first.name])
    assert bench.within == (first.name, second.name)
    assert fingerprint_of(bench.model) == both


def test_an_edit_made_with_others_in_the_model_is_not_put_into_another(bench, made):
    bench.put(made)
    with pytest.raises(UpdateError, match="make it anew"):
        bench.put(made)


def test_a_prompt_does_not_get_two_answers(bench, made):
    bench.put(made)
    with pytest.raises(BookConflictError, match="take one of them out"):
        bench.make(replace(FACT, target="Fistek Trading", wordings=""))


def test_a_second_tab_is_refused_while_the_first_one_edits(bench, made):
    inside, leave = threading.Event(), threading.Event()

    def first_tab() -> None:
        with bench.alone():
            inside.set()
            leave.wait(10)

    tab = threading.Thread(target=first_tab)
    tab.start()
    inside.wait(10)
    try:
        for act in (lambda: bench.put(made), lambda: bench.hold(()), lambda: bench.ask(["Say"])):
            with pytest.raises(ModelInUseError, match="try again"):
                act()
    finally:
        leave.set()
        tab.join()
    bench.put(made)


def test_a_subject_that_is_not_in_the_prompt_is_refused_before_anything_is_made(bench):
    with pytest.raises(SubjectNotFoundError):
        bench.make(TypedFact("Faeso Faerkov has a job at", "Rinex Brothers", "Somebody Else"), "FastMEMIT")
