"""Importing the package is cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "peft", "easyeditor", "omegaconf", "numpy", "yaml")


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import easyedit_ice",
        "from easyedit_ice import ALGORITHMS; list(ALGORITHMS)",
        "from easyedit_ice.edit.request import EditRequest",
        "import easyedit_ice.cli",
    ],
)
def test_heavy_packages_load_only_when_needed(statement):
    assert not _loaded_after(statement) & set(HEAVY)


def test_the_invented_world_is_no_part_of_the_package_until_it_is_asked_for():
    assert not {name for name in _loaded_after("import easyedit_ice") if name.startswith("easyedit_ice.factworld")}


@pytest.mark.parametrize(
    "name", ["EditHyperParams", "EditRequest", "WeightUpdate", "IceLoraHyperParams", "LoraHyperParams"]
)
def test_public_names_are_imported_from_the_top_level(name):
    import easyedit_ice

    assert getattr(easyedit_ice, name).__name__ == name


def test_a_name_that_does_not_exist_is_an_attribute_error():
    import easyedit_ice

    with pytest.raises(AttributeError, match="NoSuchEditor"):
        _ = easyedit_ice.NoSuchEditor
