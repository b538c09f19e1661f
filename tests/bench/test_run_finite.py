import json
import math

from easyedit_ice.bench.storage.finite_lines import not_finite, with_nulls

LINE = {"phase": "drift", "perplexity": math.inf, "answers": [{"p_new": -1.5}, {"p_new": math.nan}]}


def test_numbers_without_a_form_in_json_become_nulls_and_are_named():
    found = with_nulls(LINE)

    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "phase": "drift",
        "perplexity": None,
        "answers": [{"p_new": -1.5}, {"p_new": None}],
        "not_finite": ["perplexity", "answers.1.p_new"],
    }


def test_a_line_of_numbers_stays_as_it_is():
    line = {"scores": {"generated": {"rewrite": 1.0}}, "position": 3}
    assert with_nulls(line) is line
    assert list(not_finite(line)) == []
