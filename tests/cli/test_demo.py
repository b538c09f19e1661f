"""``easyedit-ice demo``: what a newcomer sees first."""

from __future__ import annotations

import pytest

from easyedit_ice import world
from easyedit_ice.cli import demo, main


@pytest.mark.slow
def test_the_demo_edits_scores_and_restores(capsys):
    assert main(["demo", "--facts", "1"]) == 0
    printed = capsys.readouterr()
    for method in demo.METHODS:
        assert f"{method}: every one of the model's" in printed.out
    assert printed.out.count("is back to the same bits") == len(demo.METHODS)
    rewrite = next(line for line in printed.out.splitlines() if line.startswith("rewrite")).split()
    assert rewrite[-len(demo.METHODS) :] == ["100.0"] * len(demo.METHODS)
    assert float(rewrite[1]) < 100
    assert not printed.err


def test_a_model_that_does_not_come_back_fails_the_demo(monkeypatch, capsys):
    def lossy(method, requests):
        scores = {"pre": {}, "post": {}}
        return demo._Result(method, scores, [], [], [], tensors=77, restored=method != "ICE-LoRA", seconds=1.0)

    monkeypatch.setattr(demo, "_edit", lossy)
    assert main(["demo", "--facts", "1"]) == 1
    assert "ICE-LoRA: every one of the model's 77 tensors did NOT come back" in capsys.readouterr().out


@pytest.mark.parametrize("count", ["0", "-1", "41", "many"])
def test_a_number_of_facts_that_cannot_be_is_refused(count, capsys):
    with pytest.raises(SystemExit) as left:
        main(["demo", f"--facts={count}"])
    assert left.value.code == 2
    assert "a number from 1 to 40" in capsys.readouterr().err


def test_the_facts_of_the_demo_have_different_subjects():
    chosen = demo._choose(world.records("test"), demo.MOST_FACTS)
    assert len({record["subject"] for record in chosen}) == demo.MOST_FACTS
