"""Known facts and text in a report."""

from __future__ import annotations

import json

import pytest
from ledgers import write_run

from easyedit_ice.bench.report import compare, read_run
from easyedit_ice.bench.report.analysis import analyse
from easyedit_ice.bench.report.tables import tables


def _run(folder, label, lost, **settings):
    """A run that loses these known facts of ten: after each edit, or after each step of a stream."""
    stream = settings.get("mode") == "sequential"
    write_run(folder, label, **settings)
    path = folder / "ledger.jsonl"
    lines = [line for text in path.read_text().splitlines() if (line := json.loads(text))["phase"] != "drift"]
    states = [(0, 0, [])] + [(0, step, own) if stream else (step - 1, 1, own) for step, own in lost.items()]
    lines += [
        {
            "phase": "drift",
            "position": position,
            "step": step,
            "known": {"facts": 10, "lost": own},
            "text_perplexity": 20.0 + len(own),
        }
        for position, step, own in states
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_run(folder)


def _table(found, title):
    return next(table for table in tables(found) if table.title.startswith(title))


def test_the_share_of_known_facts_kept_is_a_measure_with_interval_and_test(tmp_path):
    good = _run(tmp_path / "a", "good", {n: [] for n in range(1, 13)})
    poor = _run(tmp_path / "b", "poor", {n: [1, n % 5 + 3] for n in range(1, 13)})
    (found,) = analyse(compare([good, poor]))

    unedited, first, second = (own.means["teacher_forced"]["known"] for own in found.scored["immediate"])
    assert (unedited.mean, first.mean, second.mean) == (1.0, 1.0, pytest.approx(0.8))
    assert (unedited.facts, second.facts) == (10, 12)
    (difference,) = [own.difference for own in found.compared if own.measure == "known"]
    assert difference.interval.mean == pytest.approx(0.2)
    assert difference.verdict == "good higher"
    scores = _table(found, "Scores")
    assert scores.header[-2:] == ("known kept", "S")
    assert scores.rows[2][-2].startswith("80.0")
    assert (found.unedited["unedited model"]["text_perplexity"], found.figures["poor"]["text_perplexity"].mean) == (
        20,
        22,
    )


def test_after_a_stream_the_interval_is_over_known_facts_and_every_step_has_one(tmp_path):
    stream = {"mode": "sequential", "size": 6, "retain_every": 2}
    (found,) = analyse(compare([_run(tmp_path / "a", "A", {2: [], 4: [7], 6: [7, 8]}, **stream)]))
    kept = found.scored["retained"][-1].means["teacher_forced"]["known"]
    assert (kept.mean, kept.facts) == (pytest.approx(0.8), 10)
    assert "known" not in found.scored["immediate"][-1].means["teacher_forced"]
    course = found.courses["retained", "teacher_forced", "known"]["A"]
    assert {step: round(value.mean, 3) for step, value in course.items()} == {2: 1.0, 4: 0.9, 6: 0.8}


def test_runs_without_known_facts_have_no_column_of_them(tmp_path):
    (found,) = analyse(compare([read_run(write_run(tmp_path / "run"))]))
    assert "known kept" not in _table(found, "Scores").header
