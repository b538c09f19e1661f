"""Records in the forms EasyEdit's editors take."""

from __future__ import annotations

import pytest

from easyedit_ice.data import read_records, to_edit_kwargs, to_requests
from easyedit_ice.errors import DataError

FULL = {
    "subject": "Ada Brook",
    "prompt": "The employer of Ada Brook is",
    "target_new": "Nordwell",
    "ground_truth": ["Halden", "Halden AS"],
    "rephrase_prompt": "Ada Brook works for",
    "portability": {"Reasoning": [{"prompt": "Her firm is in", "ground_truth": [["Sundvik", "Sund"], ["Mara"]]}]},
    "locality": {"Forgetfulness": [{"prompt": "She was born in", "ground_truth": "Mara"}]},
}
BARE = {"subject": "Bo Lind", "prompt": "The employer of Bo Lind is", "target_new": "Halden"}
ASTRAY = BARE | {"subject": "Robert Lind", "prompt": "Bo Lind is employed by"}


def test_a_request_holds_the_first_alias_of_the_first_answer():
    assert to_requests(read_records([FULL])) == [
        {
            "prompt": "The employer of Ada Brook is",
            "target_new": "Nordwell",
            "ground_truth": "Halden",
            "subject": "Ada Brook",
            "rephrase_prompt": "Ada Brook works for",
            "portability": {"Reasoning": {"prompt": ["Her firm is in"], "ground_truth": ["Sundvik"]}},
            "locality": {"Forgetfulness": {"prompt": ["She was born in"], "ground_truth": ["Mara"]}},
        }
    ]


def test_a_request_lacks_what_its_record_lacks():
    assert to_requests(read_records([BARE])) == [
        BARE | {"ground_truth": None, "locality": {}, "portability": {}},
    ]


def test_edit_kwargs_are_parallel_with_none_for_what_a_record_lacks():
    assert to_edit_kwargs(read_records([FULL, BARE])) == {
        "prompts": ["The employer of Ada Brook is", "The employer of Bo Lind is"],
        "target_new": ["Nordwell", "Halden"],
        "ground_truth": ["Halden", None],
        "subject": ["Ada Brook", "Bo Lind"],
        "rephrase_prompts": ["Ada Brook works for", None],
        "locality_inputs": {"Forgetfulness": {"prompt": [["She was born in"], None], "ground_truth": [["Mara"], None]}},
        "portability_inputs": {
            "Reasoning": {"prompt": [["Her firm is in"], None], "ground_truth": [["Sundvik"], None]}
        },
    }


def test_edit_kwargs_leave_out_what_no_record_has():
    assert to_edit_kwargs(read_records([{"prompt": "The sky is", "target_new": "green"}])) == {
        "prompts": ["The sky is"],
        "target_new": ["green"],
    }


def test_a_subject_outside_its_prompt_is_refused_by_index_for_edit_and_taken_for_edit_requests():
    records = read_records([BARE, ASTRAY])
    with pytest.raises(DataError, match=r"records \[1\].*edit_requests"):
        to_edit_kwargs(records)
    assert to_requests(records)[1]["subject"] == "Robert Lind"


def test_no_records_are_refused():
    with pytest.raises(DataError, match="at least one"):
        to_edit_kwargs([])
