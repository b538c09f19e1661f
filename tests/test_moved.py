"""Modules are found by the names they had in 0.1."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import easyedit_ice
from easyedit_ice.moved import MOVED, current_name

HOME = Path(easyedit_ice.__file__).parent


@pytest.mark.parametrize(
    "earlier",
    [
        *("anatomy", "training.loop", "training.adapters.lora", "closed_form", "host"),
        *("spectra.found", "book.hub", "usual"),
    ],
)
def test_an_earlier_name_gives_the_module_itself(earlier: str):
    with pytest.warns(DeprecationWarning, match="is now"):
        module = import_module(f"easyedit_ice.{earlier}")

    assert module is import_module(f"easyedit_ice.{current_name(earlier)}")
    assert module.__spec__.name == module.__name__ == f"easyedit_ice.{current_name(earlier)}"


def test_a_folder_of_before_gives_its_modules_by_their_earlier_names():
    with pytest.warns(DeprecationWarning, match="is now"):
        from easyedit_ice.closed_form import write

    assert write is import_module("easyedit_ice.editors.closed_form.layer_writes")


def test_no_module_of_today_is_taken_for_an_earlier_one():
    today = [path.relative_to(HOME).with_suffix("").as_posix().replace("/", ".") for path in HOME.rglob("*.py")]

    assert [name for name in today if current_name(name) != name] == []


def test_every_earlier_name_leads_somewhere():
    assert [name for name in MOVED.values() if find_spec(f"easyedit_ice.{name}") is None] == []
