"""EasyEdit is found where users put it, and they are told what to do where it is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from easyedit_ice.easyedit import HostInfo, host_info, import_easyeditor, locate
from easyedit_ice.easyedit.locate import HOME, PACKAGE
from easyedit_ice.errors import HostNotFoundError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a checkout of EasyEdit, pointed to by EASYEDIT_HOME."""
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").touch()
    monkeypatch.setenv(HOME, str(tmp_path))
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    return tmp_path


def test_a_checkout_comes_before_an_installed_release(checkout: Path) -> None:
    assert host_info() == HostInfo("head", "unknown", checkout / PACKAGE)


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": COMMIT},
        {"HEAD": "ref: refs/heads/main", "refs/heads/main": COMMIT},
        {"HEAD": "ref: refs/heads/main", "packed-refs": f"# pack-refs\n{COMMIT} refs/heads/main\n"},
    ],
    ids=["detached", "branch", "packed"],
)
def test_a_checkout_is_named_by_its_commit(checkout: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        file = checkout / ".git" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")
    assert host_info().version == COMMIT[:12]


def test_a_home_without_easyedit_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME, str(tmp_path / "nowhere"))
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    with pytest.raises(HostNotFoundError, match=r"nowhere.*root of a checkout.*unset"):
        host_info()
    with pytest.raises(HostNotFoundError, match=HOME):
        import_easyeditor()


def test_without_easyedit_both_ways_to_get_it_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME, raising=False)
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    monkeypatch.setattr(locate.PathFinder, "find_spec", lambda *args: None)
    for look in (host_info, import_easyeditor):
        with pytest.raises(HostNotFoundError, match=r"pip install --no-deps easyeditor==0\.0\.1\.dev0.*EASYEDIT_HOME"):
            look()


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_easyedit_without_what_we_need_is_refused_but_still_importable(checkout: Path) -> None:
    """The folder's package is empty: another project's, or an EasyEdit of the far future."""
    code = """
import easyedit_ice, easyeditor
print(easyeditor.__file__)
try:
    easyedit_ice.BaseEditor
except easyedit_ice.errors.HostIncompatibleError as error:
    print(error)
"""
    path, error = _python(code).splitlines()
    assert path == str(checkout / PACKAGE / "__init__.py")
    assert error.startswith("EasyEdit head unknown")
    assert "easyeditor.editors.editor.BaseEditor" in error
    assert "tested with the release 0.0.1.dev0 and head" in error


def test_importing_the_package_loads_neither_torch_nor_easyedit() -> None:
    loaded = _python("import easyedit_ice, sys; print(*sys.modules)").split()
    assert not {"torch", "transformers", "numpy", PACKAGE} & set(loaded)
