"""Modules are found by the names they had in 0.1."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

from easyedit_ice.moved import MOVED, current_name


@pytest.mark.parametrize("earlier", ["anatomy", "training.loop", "training.adapters.lora", "closed_form", "host"])
def test_an_earlier_name_gives_the_module_itself(earlier: str):
    with pytest.warns(DeprecationWarning, match="is now"):
        module = import_module(f"easyedit_ice.{earlier}")

    assert module is import_module(f"easyedit_ice.{current_name(earlier)}")
    assert module.__spec__.name == module.__name__ == f"easyedit_ice.{current_name(earlier)}"


def test_every_earlier_name_leads_somewhere():
    assert [name for name in MOVED.values() if find_spec(f"easyedit_ice.{name}") is None] == []
