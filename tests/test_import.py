"""Importing the package is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

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


def _told_to_type_checkers() -> dict[str, str]:
    """Names that the package's ``TYPE_CHECKING`` block imports, with the modules it imports them from."""
    import easyedit_ice

    tree = ast.parse(Path(easyedit_ice.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {name.name: node.module for node in imports for name in node.names}


def test_type_checkers_and_editors_see_every_public_name_where_it_is_imported_from():
    import easyedit_ice
    from easyedit_ice.edit.registry import ALGORITHMS

    ours = [each for name, each in ALGORITHMS.items() if name not in ALGORITHMS.joined]
    settings = {each.class_name: each.hparams_class.__module__ for each in ours}

    assert _told_to_type_checkers() == easyedit_ice._LAZY | settings
    assert easyedit_ice.__all__ == ["ALGORITHMS", *easyedit_ice._LAZY]


def test_completion_offers_public_names_before_they_are_asked_for():
    code = "import easyedit_ice; print(*dir(easyedit_ice))"
    offered = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert {"EditBook", "IceLoraHyperParams", "__version__", "solve"} <= set(offered)
    assert offered == sorted(set(offered))
