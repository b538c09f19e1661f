"""``easyedit-ice demo``: what a newcomer sees first."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice import factworld
from easyedit_ice.cli import demo, main, shown_facts
from easyedit_ice.errors import RequestError

METHODS = ("LoRA-BF", "ICE-LoRA")


@pytest.mark.slow
def test_the_demo_edits_scores_and_restores(capsys):
    assert main(["demo", "--facts", "2"]) == 0
    printed = capsys.readouterr()
    for method in METHODS:
        assert f"{method}: every one of the model's" in printed.out
    assert printed.out.count("is back to the same bits") == len(METHODS)
    rewrite = next(line for line in printed.out.splitlines() if line.startswith("rewrite")).split()
    assert rewrite[-len(METHODS) :] == ["100.0"] * len(METHODS)
    assert float(rewrite[1]) < 100
    assert all(" of " in line for line in printed.err.splitlines()), "how far it has come, and nothing else"


@pytest.mark.real
@pytest.mark.slow
def test_a_real_fact_is_written_its_neighbours_stay_and_the_model_is_restored(smollm2, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["demo", "--model", smollm2, "--algorithm", "FastMEMIT"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {measure: line for line in lines for measure in demo.SECTIONS if f"  {measure}" in line}
    assert rows["rewrite"].startswith("The mother tongue of Danielle Darrieux is") and rows["rewrite"].endswith(" +")
    assert all(line.endswith(" +") for line in lines if "  locality." in line)
    assert sum("  locality." in line for line in lines) == 2
    assert any("is back to the same bits" in line for line in lines)


def test_a_model_that_does_not_come_back_fails_the_demo(monkeypatch, capsys):
    def lossy(method, name, model, tok, requests, one_by_one):
        drift = {"kl": 0.0, "kept": 1.0}
        return demo._Result(method, {}, [], [], [], drift, tensors=77, restored=method != "ICE-LoRA", seconds=1.0)

    monkeypatch.setattr(demo, "_edit", lossy)
    assert main(["demo", "--facts", "1"]) == 1
    assert "ICE-LoRA: every one of the model's 77 tensors did NOT come back" in capsys.readouterr().out


def test_a_zero_of_the_other_sign_is_no_restored_zero():
    zero = torch.zeros(2, 3)
    assert demo._same(zero, torch.zeros(2, 3))
    assert not demo._same(zero, -zero)


@pytest.mark.parametrize("count", ["0", "-1", "41", "many"])
def test_a_number_of_facts_that_cannot_be_is_refused(count, capsys):
    with pytest.raises(SystemExit) as left:
        main(["demo", f"--facts={count}"])
    assert left.value.code == 2
    assert "a number from 1 to 40" in capsys.readouterr().err


def test_more_real_facts_than_there_are_cannot_be_asked_for():
    with pytest.raises(RequestError, match="--facts is 40"):
        shown_facts.shown_facts("another-model", None, None, shown_facts.MOST_FACTS)


def test_the_facts_of_the_demo_have_different_subjects():
    chosen = shown_facts.choose(factworld.records("test"), shown_facts.MOST_FACTS)
    assert len({record["subject"] for record in chosen}) == shown_facts.MOST_FACTS
    assert len({fact.subject for fact in shown_facts.REAL_FACTS}) == len(shown_facts.REAL_FACTS)


def test_the_demo_shows_facts_that_the_model_knows(monkeypatch):
    from easyedit_ice.text import likely_answers as answers

    last = shown_facts.REAL_FACTS[-1]
    monkeypatch.setattr(answers, "answers_right", lambda model, tok, asked: [q == last.prompt for q, _ in asked])
    shown = shown_facts.shown_facts("another-model", None, None, None)
    assert [request["subject"] for request in shown.requests] == [last.subject]
