"""Means over facts with their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from easyedit_ice.evaluation import FactScore, summarize
from easyedit_ice.evaluation.intervals import interval, share_interval


def _facts(*measures):
    return [FactScore(teacher_forced=own, generated={name: 0.0 for name in own}) for own in measures]


def test_each_mode_and_measure_gets_its_mean_over_facts():
    summary = summarize(_facts({"rewrite": 1.0}, {"rewrite": 0.0}, {"rewrite": 0.5}))
    assert summary["teacher_forced"]["rewrite"].mean == 0.5
    assert summary["generated"]["rewrite"].mean == 0.0
    assert summary["teacher_forced"]["rewrite"].facts == 3


def test_a_sections_score_is_the_mean_of_each_facts_kinds():
    facts = _facts({"portability.a": 1.0, "portability.b": 0.0}, {"portability.a": 1.0})
    summary = summarize(facts)["teacher_forced"]
    assert summary["portability"].mean == 0.75
    assert summary["portability.a"].mean == 1.0
    assert (summary["portability.b"].mean, summary["portability.b"].facts) == (0.0, 1)


def test_a_measure_counts_the_facts_that_have_it():
    summary = summarize(_facts({"rewrite": 1.0, "rephrase": 0.0}, {"rewrite": 1.0}))["teacher_forced"]
    assert (summary["rewrite"].facts, summary["rephrase"].facts) == (2, 1)


@pytest.mark.parametrize("values", [[0.0, 1.0, 1.0, 0.5], [0.25] * 5, [1.0], list(np.linspace(0, 1, 40))])
def test_the_interval_holds_the_mean(values):
    found = interval(values)
    assert found.low <= found.mean <= found.high
    assert found.mean == pytest.approx(np.mean(values))


def test_facts_that_agree_leave_no_doubt():
    found = interval([0.5] * 10)
    assert (found.low, found.high) == (0.5, 0.5)


def test_more_facts_narrow_the_interval():
    few, many = interval([0.0, 1.0] * 5), interval([0.0, 1.0] * 500)
    assert many.high - many.low < 0.3 * (few.high - few.low)


def test_the_interval_has_the_width_statistics_expect():
    values = [0.0, 1.0] * 200
    expected = 2 * 1.96 * np.std(values) / len(values) ** 0.5
    found = interval(values)
    assert found.high - found.low == pytest.approx(expected, rel=0.1)


def test_intervals_are_the_same_each_time_and_leave_the_global_state_alone():
    state = np.random.get_state()[1].tolist()
    assert interval([0.0, 1.0, 0.3]) == interval([0.0, 1.0, 0.3])
    assert np.random.get_state()[1].tolist() == state


def test_an_interval_is_printed_in_per_cent():
    assert str(interval([0.5] * 3)) == " 50.0 [50.0, 50.0]"


def test_facts_that_are_all_right_leave_doubt():
    """Ten of ten say less than a thousand of a thousand; Wilson's interval for 10 of 10 begins at 72 %."""
    few, many = share_interval([1.0] * 10), share_interval([1.0] * 1000)
    assert (few.mean, round(few.low, 3), few.high) == (1.0, 0.722, pytest.approx(1.0))
    assert many.low > 0.99


def test_scores_between_right_and_wrong_have_the_bootstrap_interval():
    values = [0.25, 0.5, 1.0, 0.0]
    assert share_interval(values) == interval(values)
