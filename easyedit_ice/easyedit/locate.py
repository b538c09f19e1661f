"""Where EasyEdit is, which one it is, and what to do if it is nowhere.

``EASYEDIT_HOME`` (a checkout of EasyEdit's repository) comes first, then ``sys.path``.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal

from easyedit_ice.errors import HostNotFoundError

PACKAGE = "easyeditor"
HOME = "EASYEDIT_HOME"
TESTED = "the release 0.0.1.dev0 and head 14cea82"
REMEDY = (
    f"install the release (`pip install --no-deps {PACKAGE}==0.0.1.dev0`), or set {HOME} to a checkout of "
    "https://github.com/zjunlp/EasyEdit"
)


@dataclass(frozen=True)
class HostInfo:
    """One EasyEdit.

    Attributes:
        kind: ``"release"`` if pip installed it, ``"head"`` if it is a checkout.
        version: the release's version, or the checkout's commit; ``"unknown"`` without git's files.
        path: the folder of the package ``easyeditor``.
    """

    kind: Literal["release", "head"]
    version: str
    path: Path

    def __str__(self) -> str:
        return f"EasyEdit {self.kind} {self.version}"


def host_info() -> HostInfo:
    """Which EasyEdit is loaded, or would be; does not load it.

    Raises:
        HostNotFoundError: there is none, or ``EASYEDIT_HOME`` does not point at one.
    """
    loaded = sys.modules.get(PACKAGE)
    spec = loaded.__spec__ if loaded is not None else find_host()
    if spec is None or spec.origin is None:
        raise HostNotFoundError(f"there is no package {PACKAGE!r} on sys.path; {REMEDY}")
    path = Path(spec.origin).resolve().parent
    version = _installed_version(path)
    return HostInfo("release", version, path) if version else HostInfo("head", _commit(path.parent), path)


def find_host() -> ModuleSpec | None:
    """The import system's finding of ``easyeditor``, with ``EASYEDIT_HOME`` first.

    Raises:
        HostNotFoundError: ``EASYEDIT_HOME`` is set and no EasyEdit is there.
    """
    home = os.environ.get(HOME)
    if not home:
        return PathFinder.find_spec(PACKAGE)
    folder = Path(home).expanduser().resolve()
    if not (folder / PACKAGE / "__init__.py").is_file():
        raise HostNotFoundError(
            f"{HOME} is {home!r}, which holds no {PACKAGE}/__init__.py; point it at the root of a checkout "
            "of EasyEdit, or unset it to use the installed release"
        )
    return PathFinder.find_spec(PACKAGE, [str(folder)])


def _installed_version(path: Path) -> str | None:
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        return None
    return installed.version if Path(str(installed.locate_file(PACKAGE))).resolve() == path else None


def _commit(checkout: Path) -> str:
    """Commit at ``HEAD``, from git's own files."""
    git = checkout / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:12]
        reference = head.removeprefix("ref: ")
        if (git / reference).is_file():
            return (git / reference).read_text().strip()[:12]
        packed = re.search(rf"^(\w{{12}})\w* {re.escape(reference)}$", (git / "packed-refs").read_text(), re.M)
    except OSError:
        return "unknown"
    return packed[1] if packed else "unknown"
