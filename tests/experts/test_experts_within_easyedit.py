"""EasyEdit's own evaluation of a model that answers with its experts, on the release and at head."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosts import EACH_HOST, found_in_host

SCRIPT = Path(__file__).with_name("experts_within_easyedit.py")

pytestmark = pytest.mark.slow


@EACH_HOST
def test_easyedit_scores_the_mixture_as_if_it_were_in_the_weights(host):
    found = found_in_host(host, SCRIPT)
    assert len(found) == 6
    assert all(case["chosen"] == case["committed"] for case in found)
    assert any(case["committed"] != case["base"] for case in found)
