"""Names that a setting lists are those of its table, in the table's order."""

from __future__ import annotations

import pytest

from easyedit_ice.errors import RunConfigError
from easyedit_ice.evaluation.listed_names import listed

NAMES = {"lora": 1, "merge": 2, "quantise8": 3}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ()),
        (("merge", "lora", "merge"), ("lora", "merge")),
        (iter(["all"]), tuple(NAMES)),
        (("quantise8", "all"), tuple(NAMES)),
    ],
)
def test_names_come_once_and_in_the_tables_order(words, expected):
    assert listed(words, NAMES, "treatment", "evaluation.afterlife") == expected


def test_a_word_that_names_nothing_is_refused_also_beside_all():
    with pytest.raises(RunConfigError) as refused:
        listed(["all", "quantize8"], NAMES, "treatment", "evaluation.afterlife")
    assert str(refused.value) == (
        "there is no treatment 'quantize8'; evaluation.afterlife takes lora, merge, quantise8, all. "
        "Did you mean 'quantise8'?"
    )
