"""What users rely on, in every EasyEdit there is: the installed release, and head where EASYEDIT_HOME is set."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hosts import HOSTS, found_in_host

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from behaviours import BEHAVIOURS, EASYEDIT_FIRST  # noqa: E402

CASES = [(host, order, name) for host in HOSTS for order in BEHAVIOURS for name in BEHAVIOURS[order]]
# The toy sentence encoder is on the path of one order only: the other shows what its absence does.
ENCODER = {EASYEDIT_FIRST: (HERE / "encoder",)}


@pytest.mark.parametrize(("host", "order", "name"), CASES, ids=["-".join(case) for case in CASES])
def test_behaviour(host: str, order: str, name: str) -> None:
    found = found_in_host(host, HERE / "behaviours.py", order, path=ENCODER.get(order, ()))
    outcome = found[name]
    if outcome.startswith("skipped: "):
        pytest.skip(outcome.removeprefix("skipped: "))
    assert not outcome, outcome
