"""Values and updates are those of EasyEdit's MEMIT, EMMET and ROME, on the release and at head."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosts import EACH_HOST, found_in_host

SCRIPT = Path(__file__).with_name("beside_easyedit.py")


@pytest.mark.long
@EACH_HOST
def test_values_of_facts_sought_together_are_those_easyedit_finds_one_by_one(host: str) -> None:
    cases = {name: found for name, found in found_in_host(host, SCRIPT).items() if name.endswith("values")}
    assert len(cases) == 6
    for name, found in cases.items():
        assert len(found) >= 2, name
        # Adam blows rounding up where gradients are as small as those of a random model.
        assert max(found) < (1e-4 if "embedded" in name else 2e-3), name


@EACH_HOST
def test_updates_are_easyedits_given_the_same_values_and_second_moments(host: str) -> None:
    cases = {name: found for name, found in found_in_host(host, SCRIPT).items() if "update" in name}
    assert len(cases) == 13 if host == "release" else 25
    for name, [found] in cases.items():
        assert found < 1e-4, name
