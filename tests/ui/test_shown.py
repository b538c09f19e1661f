"""What came of an edit, as HTML."""

from __future__ import annotations

from dataclasses import replace

from easyedit_ice.ui import shown


def test_a_trial_shows_figures_answers_and_neighbours(made):
    html = shown.trial(made)
    for part in ("written", "other wordings hold", "neighbours moved", "of general text lost", "Balmax Group"):
        assert part in html
    assert html.count("✓ kept") == len(made.verdict.neighbours)


def test_what_moved_is_marked_and_warned_of(made):
    fact = made.verdict.facts[0]
    moved = tuple(replace(one, moved=True) for one in fact.neighbours)
    verdict = replace(made.verdict, facts=(replace(fact, neighbours=moved, written=False),))
    html = shown.trial(replace(made, verdict=verdict))
    assert "NOT written" in html
    assert html.count("✗ moved") == len(moved)
    assert "neighbours have another answer" in html


def test_a_models_text_cannot_be_markup(made):
    fact = replace(made.verdict.facts[0], before="<script>alert(1)</script>")
    html = shown.trial(replace(made, verdict=replace(made.verdict, facts=(fact,))))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
