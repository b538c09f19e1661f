"""Differences are tested on the facts both methods have, and a tie is called one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from easyedit_ice.bench.report.paired_tests import differences, holm, sign_flip, success_score


def _facts(values):
    return {(index, "prompt", "target"): value for index, value in enumerate(values)}


def test_a_clear_difference_names_the_better_method():
    [found] = differences({"A": _facts([1.0] * 20), "B": _facts([0.0] * 15 + [1.0] * 5)})
    assert found.verdict == "A higher"
    assert found.interval.mean == 0.75
    assert found.p_value < 0.001


def test_the_better_method_is_named_whichever_stands_first():
    [found] = differences({"B": _facts([0.0] * 20), "A": _facts([1.0] * 20)})
    assert found.verdict == "A higher"
    assert found.interval.mean == -1.0


def test_an_interval_that_holds_nought_is_a_tie():
    [found] = differences({"A": _facts([1.0, 0.0] * 10), "B": _facts([0.0, 1.0] * 10)})
    assert found.interval.low < 0 < found.interval.high
    assert found.verdict == "tie"


def test_equal_methods_tie_with_certainty():
    [found] = differences({"A": _facts([1.0, 0.0]), "B": _facts([1.0, 0.0])})
    assert (found.verdict, found.p_value) == ("tie", 1.0)


def test_too_few_facts_are_not_called_a_difference():
    [found] = differences({"A": _facts([1.0, 1.0]), "B": _facts([0.0, 0.0])})
    assert found.p_value == 0.5
    assert found.verdict == "A higher, but not after adjustment"


def test_only_facts_that_both_methods_have_are_compared():
    both, alone = _facts([1.0, 1.0, 1.0]), {(9, "other", "target"): 0.0}
    [found] = differences({"A": both | alone, "B": both})
    assert found.interval.facts == 3
    assert found.interval.mean == 0.0


def test_methods_without_a_fact_in_common_are_not_compared():
    assert differences({"A": _facts([1.0]), "B": {(9, "other", "target"): 0.0}}) == []


def test_the_p_value_is_that_of_all_sign_flips():
    values = [0.5, 1.0, -0.25, 0.75, 0.5, 0.0, 1.0]
    flipped = [np.dot(signs, values) for signs in itertools.product((-1, 1), repeat=len(values))]
    exact = np.mean([abs(total) >= sum(values) - 1e-9 for total in flipped])
    assert sign_flip(values) == pytest.approx(exact)


def test_one_fact_shows_no_difference():
    (found,) = differences({"A": _facts([1.0]), "B": _facts([0.0])})
    assert (found.interval.mean, found.p_value) == (1.0, 1.0)


def test_equal_facts_give_equal_numbers_again():
    rng = np.random.default_rng(3)
    methods = {name: _facts(rng.random(40)) for name in "ABC"}
    assert differences(methods) == differences(methods)


def test_holm_adjusts_by_rank_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_the_score_is_the_harmonic_mean_of_the_measures_means():
    score = success_score([_facts([1.0, 0.0]), _facts([1.0, 1.0]), _facts([0.5, 0.5])])
    assert score.mean == pytest.approx(3 / (1 / 0.5 + 1 / 1 + 1 / 0.5))
    assert score.low <= score.mean <= score.high
    assert score.facts == 2


def test_the_score_is_nought_where_one_measure_is():
    assert success_score([_facts([0.0, 0.0]), _facts([1.0, 1.0])]).mean == 0.0


def test_the_score_takes_facts_that_lack_a_measure():
    partial = {(0, "prompt", "target"): 0.5}
    assert success_score([_facts([1.0, 0.0]), partial]).mean == pytest.approx(0.5)
