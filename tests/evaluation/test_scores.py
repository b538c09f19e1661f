"""Scores of one fact."""

from __future__ import annotations

import pytest

from easyedit_ice.evaluation import FactScore, edit_scores
from easyedit_ice.evaluation.observation import Observation
from easyedit_ice.evaluation.questions import Question
from easyedit_ice.evaluation.scores import is_right, leads_right, normalized

REWRITE = Question("rewrite", "p", "Lodel", ("Lodel", "City of Lodel"))
HOPS = Question("portability.hops", "p", "Lodel", ("Lodel",))
NEAR = Question("locality.near", "p", "Ommer", ("Ommer",))


def _seen(predicted, generated, expected=(1, 2)):
    return Observation(expected, predicted, generated)


def test_an_edits_questions_are_scored_against_the_expected_answer():
    scores = edit_scores([REWRITE], [_seen((1, 2), "Lodel")], [_seen((1, 9), "Ommer")])
    assert scores.teacher_forced == {"rewrite": 0.5}
    assert scores.generated == {"rewrite": 0.0}


def test_locality_is_agreement_with_the_answer_before_right_or_wrong():
    before, after = _seen((8, 9), "wrong"), _seen((8, 7), "Wrong.")
    scores = edit_scores([NEAR], [before], [after])
    assert scores.teacher_forced == {"locality.near": 0.5}
    assert scores.generated == {"locality.near": 1.0}


def test_a_right_answer_that_was_not_there_before_is_no_locality():
    scores = edit_scores([NEAR], [_seen((8, 9), "wrong")], [_seen((1, 2), "Ommer")])
    assert scores.teacher_forced == {"locality.near": 0.0}
    assert scores.generated == {"locality.near": 0.0}


@pytest.mark.parametrize(
    ("written", "score"),
    [
        ("Lodel", 1.0),
        ("City of Lodel", 1.0),
        (" lodel. ", 1.0),
        ("CITY  OF\nLODEL", 1.0),
        ("Ｌodel", 1.0),
        ("Lodel, of course", 0.0),
        ("Lo del", 0.0),
        ("", 0.0),
    ],
)
def test_a_generated_answer_must_equal_an_alias_but_for_case_spaces_and_a_full_stop(written, score):
    assert edit_scores([REWRITE], [_seen((), "")], [_seen((1, 2), written)]).generated == {"rewrite": score}


def test_several_questions_of_a_measure_are_averaged():
    after = [_seen((1, 2), "Lodel"), _seen((9, 9), "no"), _seen((1, 2), "Lodel")]
    scores = edit_scores([HOPS, HOPS, REWRITE], [_seen((), "")] * 3, after)
    assert scores.teacher_forced == {"portability.hops": 0.5, "rewrite": 1.0}
    assert scores.generated == {"portability.hops": 0.5, "rewrite": 1.0}


def test_questions_and_observations_must_correspond():
    with pytest.raises(ValueError):
        edit_scores([REWRITE], [], [])


def test_normalising_twice_changes_nothing_more():
    assert normalized(normalized(" St. Ｌodel .. ")) == normalized(" St. Ｌodel .. ") == "st. lodel"


def _likelier(log_prob, other):
    return Observation((1,), (1,), None, log_prob, other)


def test_probability_is_the_share_of_questions_whose_answer_is_the_likelier_one():
    after = [_likelier(-1.0, -2.0), _likelier(-3.0, -2.0), _likelier(-1.0, -2.0), _likelier(None, None)]
    scores = edit_scores([REWRITE, NEAR, NEAR, HOPS], after, after)
    assert scores.probability == {"rewrite": 1.0, "locality.near": 0.5}
    assert scores.generated == {}


def test_an_answer_of_no_tokens_is_left_out():
    assert edit_scores([REWRITE], [_seen((), "")], [_seen((), "", ())]).teacher_forced == {}


def test_scores_without_comparison_leave_out_what_was_to_stay_but_not_its_probabilities():
    after = [_likelier(-1.0, -2.0)] * 2
    scores = edit_scores([REWRITE, NEAR], after, after).without_comparison()
    assert scores.to_dict() == {
        "teacher_forced": {"rewrite": 1.0},
        "probability": {"rewrite": 1.0, "locality.near": 1.0},
    }


def test_scores_come_back_from_plain_values():
    scores = edit_scores([REWRITE], [_seen((1, 2), "Lodel")], [_seen((1, 9), "Ommer")])
    assert FactScore.from_dict(scores.to_dict()) == scores


def _led(leading, generated="goes on"):
    return Observation((1,), (1,), generated, leading=leading)


def test_a_leading_answer_is_scored_beside_the_natural_stop():
    was, now = [_led("Ommer")] * 2, [_led("City of Lodel, in Avaria"), _led("ommer")]
    scores = edit_scores([REWRITE, NEAR], was, now)
    assert scores.leading == {"rewrite": 1.0, "locality.near": 1.0}
    assert scores.generated == {"rewrite": 0.0, "locality.near": 1.0}


def test_a_leading_answer_that_changed_is_no_locality_however_right():
    assert edit_scores([NEAR], [_led("wrong")], [_led("Ommer")]).leading == {"locality.near": 0.0}


def test_an_answer_that_was_never_generated_is_no_empty_one() -> None:
    nothing = _seen((1, 2), None)
    for question in (REWRITE, NEAR):
        for right in (is_right, leads_right):
            with pytest.raises(ValueError, match="without generating"):
                right(question, nothing, nothing)
