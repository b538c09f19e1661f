"""The verdict names a winner where there is one, and says so where there is none."""

from __future__ import annotations

import random

import pytest
from ledgers import FAIR, GOOD, POOR, rewrite_lines, write_run

from easyedit_ice.bench.report import compare, read_run, write_report
from easyedit_ice.bench.report.analysis import analyse
from easyedit_ice.bench.report.headline import headline
from easyedit_ice.bench.report.paired_tests import differences, paired_interval, success_score
from easyedit_ice.errors import IncomparableRunsError


def _verdict(*folders):
    (results,) = analyse(compare([read_run(folder) for folder in folders]))
    return headline(results)


def test_a_method_that_is_better_in_all_wins(tmp_path):
    said = _verdict(
        write_run(tmp_path / "a", "ICE-LoRA", GOOD, size=80), write_run(tmp_path / "b", "ROME", FAIR, size=80)
    )
    assert said[0] == "ICE-LoRA wins at matched locality."
    assert any(sentence.startswith("ICE-LoRA beats ROME in ") for sentence in said)
    assert not any("Few facts" in sentence for sentence in said)


def test_equal_methods_have_no_winner_and_few_facts_are_warned_of(tmp_path):
    said = _verdict(write_run(tmp_path / "a", "A", GOOD, size=10), write_run(tmp_path / "b", "B", GOOD, size=10))
    assert said[0].startswith("No winner: between A and B no difference is proven")
    assert any(sentence.startswith("Few facts (10 in the smallest run): the intervals") for sentence in said)


def test_more_written_for_less_locality_is_no_victory(tmp_path):
    reckless = {"rewrite": 1.0, "rephrase": 1.0, "portability": 1.0, "locality": 0.2}
    said = _verdict(write_run(tmp_path / "a", "A", POOR, size=80), write_run(tmp_path / "b", "B", reckless, size=80))
    assert said[0].startswith("No winner: between A and B")


def test_methods_in_the_question_stand_apart(tmp_path):
    folders = [write_run(tmp_path / "a", "A", FAIR), write_run(tmp_path / "b", "Prompt", GOOD, kind="context")]
    said = _verdict(*folders)
    assert said[0].startswith("A: success")
    assert any("is told which fact a question is about" in sentence for sentence in said)


def test_runs_that_are_not_alike_get_no_winner(tmp_path):
    folders = [write_run(tmp_path / "a", "A"), write_run(tmp_path / "b", "B", evaluation={"scorer": "easyedit"})]
    (results,) = analyse(compare([read_run(folder) for folder in folders], anyway=True))
    assert headline(results) == ["These runs differ in what must be the same, so no winner is named."]


def test_a_refusal_says_which_runs_go_together(tmp_path):
    folders = [write_run(tmp_path / name, name) for name in ("A", "B")]
    folders.append(write_run(tmp_path / "C", "C", evaluation={"scorer": "easyedit"}))
    told = r"What may be compared: A \(single\), B \(single\); C \(single\) alone\."
    with pytest.raises(IncomparableRunsError, match=told):
        compare([read_run(folder) for folder in folders])


def test_a_run_without_lines_is_left_out_and_named(tmp_path):
    folders = [write_run(tmp_path / "A", "A"), write_run(tmp_path / "B", "B", done=0)]
    comparison = compare([read_run(folder) for folder in folders])
    assert comparison.labels == ("A",)
    assert any(note.startswith("B (single) in ") and "no scores yet" in note for note in comparison.notes)
    with pytest.raises(IncomparableRunsError, match="none of the runs has scores yet"):
        compare([read_run(folders[1])])


def test_no_interval_of_shares_is_without_width():
    facts = {(place, "p", "t"): 1.0 for place in range(10)}
    (found,) = differences({"A": facts, "B": facts})
    assert (found.interval.low < 0 < found.interval.high, found.verdict) == (True, "tie")
    score = success_score([facts, facts, facts])
    assert (score.mean, score.high) == (1.0, 1.0)
    assert score.low == pytest.approx(0.722, abs=0.001)


def test_intervals_of_paired_shares_hold_the_truth_about_as_often_as_they_say():
    """Also where nearly all facts are right, which bootstrap intervals of few facts miss far more often."""
    rng = random.Random(0)
    held = 0
    for _ in range(300):
        hard = [rng.random() for _ in range(20)]
        found = paired_interval([(float(own < 0.95), float(own < 0.95 and rng.random() < 0.9)) for own in hard])
        held += found.low <= 0.95 - 0.95 * 0.9 <= found.high
    assert 0.93 <= held / 300 <= 1.0


def test_markdown_has_no_live_markup(tmp_path):
    folder = write_run(tmp_path / "run", "A", failed=[0])
    evil = "<img src=x onerror=alert(1)> [a](http://b.c) **x** `y` |"

    def spoilt(line):
        return line | {"error": f"{evil}: z"} if line["phase"] == "failed" else line

    rewrite_lines(folder, spoilt)
    write_report(compare([read_run(folder, evil)]), tmp_path, ["md"])
    text = (tmp_path / "report.md").read_text()
    assert "onerror" in text
    assert "<img" not in text
    assert r"[a\](http:" in text
    assert "http://" not in text
    assert "**x**" not in text
