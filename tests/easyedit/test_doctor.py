"""The report says what is there, what is missing and what to do about it, whatever is missing."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError

import pytest

from easyedit_ice.easyedit import doctor
from easyedit_ice.easyedit import host_report as info
from easyedit_ice.easyedit.host_report import Check
from easyedit_ice.easyedit.locate import HOME, PACKAGE
from easyedit_ice.factworld import model_path


@pytest.fixture(autouse=True)
def no_easyedit(monkeypatch: pytest.MonkeyPatch) -> None:
    """EasyEdit takes seconds to load; these tests need none."""
    monkeypatch.setenv(HOME, "/nowhere")
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)


def report() -> dict[str, Check]:
    return {check.name: check for check in doctor()}


def test_a_wrong_home_is_reported_with_the_remedy() -> None:
    check = report()["EasyEdit"]
    assert check.status == "missing"
    assert "/nowhere" in check.value
    assert "unset it" in check.remedy
    assert "EasyEdit loads" not in report()


@pytest.mark.parametrize(("name", "status"), [("peft", "missing"), ("bitsandbytes", "warn")])
def test_a_missing_package_is_reported_with_the_remedy(name: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    version = info.version

    def without(package: str) -> str:
        if package == name:
            raise PackageNotFoundError(name)
        return version(package)

    monkeypatch.setattr(info, "version", without)
    check = report()[name]
    assert check.status == status
    assert f"pip install {name}" in check.remedy


def test_a_torch_that_does_not_load_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert report()["devices"].status == "missing"


def test_a_missing_optional_package_is_a_warning_that_names_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "find_spec", lambda name: None)
    check = report()["sklearn"]
    assert check.status == "warn"
    assert "pip install scikit-learn" in check.remedy


def test_the_embedded_model_of_a_whole_installation_is_there() -> None:
    check = info._world()
    assert (check.status, check.value) == ("ok", str(model_path()))


def test_everything_missing_has_a_remedy() -> None:
    assert all(check.remedy for check in doctor() if check.status != "ok")


def test_an_easyedit_that_does_not_load_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from easyedit_ice.easyedit.plugin import registration

    def broken() -> None:
        raise AttributeError("numpy has no attribute float")

    monkeypatch.setattr(registration, "register", broken)
    check = info._loads()
    assert check.status == "missing"
    assert "numpy has no attribute float" in check.value
