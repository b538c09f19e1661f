"""Packages that are not installed are stood in for, for EasyEdit alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from easyedit_ice.easyedit.loading import placeholders as standins
from easyedit_ice.easyedit.loading.placeholders import host_import
from easyedit_ice.errors import MissingPackageError


@pytest.fixture(autouse=True)
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packages of which one may be absent; neither exists."""
    monkeypatch.setattr(standins, "OPTIONAL", {"absent_package": "absent-package"})
    monkeypatch.setattr(standins, "stood_in", {})


def run(source: str) -> dict[str, Any]:
    """Names of a module of EasyEdit with this source."""
    namespace = {
        "__builtins__": {**vars(__import__("builtins")), "__import__": host_import},
        "__name__": "easyeditor.x",
    }
    exec(source, namespace)
    return namespace


@pytest.mark.parametrize(
    "source",
    [
        "import absent_package; thing = absent_package.deep.thing",
        "import absent_package.deep as deep; thing = deep.thing",
        "from absent_package.deep import thing",
        "from absent_package import deep; thing = deep.thing",
    ],
)
def test_use_of_a_stand_in_names_what_is_missing_and_what_to_install(source: str) -> None:
    thing = run(source)["thing"]
    with pytest.raises(MissingPackageError, match=r"absent_package\.deep\.thing.*pip install absent-package"):
        thing(1)


def test_stand_ins_serve_as_base_classes_and_annotations() -> None:
    source = """
from absent_package import Base, List
class Derived(Base):
    def method(self, items: List[int]) -> Base: ...
"""
    with pytest.raises(MissingPackageError, match=r"absent_package\.Base"):
        run(source)["Derived"]()


def test_stand_ins_are_known_to_doctor_and_not_to_the_import_system() -> None:
    run("import absent_package.deep")
    assert list(standins.stood_in) == ["absent_package"]
    assert not [name for name in sys.modules if name.startswith("absent_package")]
    with pytest.raises(ModuleNotFoundError):
        __import__("absent_package")


def test_what_must_be_there_is_not_stood_in_for() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        run("import no_such_package")


def test_an_installed_package_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "absent_package.py").write_text("thing = 7")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "absent_package", raising=False)
    assert run("from absent_package import thing")["thing"] == 7
    assert standins.stood_in == {}
    sys.modules.pop("absent_package")


def test_an_installed_package_that_lacks_one_of_its_own_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "absent_package.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        run("import absent_package")
