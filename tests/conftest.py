"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import nn

ROOT = Path(__file__).resolve().parent.parent


LONGEST = (
    *("test_conformance.py", "test_host_conformance.py", "test_examples.py", "test_types.py", "test_app.py"),
    *("test_host_scores.py", "test_demo.py", "test_own_editor.py", "test_reviewer.py", "test_from_easyedit.py"),
)
"""Files of half a minute and more, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, then others with slow tests, so that no worker is left with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (places.get(item.path.name, len(places)), item.path not in slow))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of published benchmark files, kept beside the project and not part of it."""
    folder = Path(os.environ.get("EASYEDIT_ICE_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs published benchmark files in {folder} (or in $EASYEDIT_ICE_DATA)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    """What is computed once and kept goes into a folder of the tests' own; converted models are shared by workers."""
    cache = tmp_path_factory.mktemp("cache")
    (_shared(tmp_path_factory) / "models").mkdir(exist_ok=True)
    (cache / "easyedit_ice").mkdir()
    (cache / "easyedit_ice" / "models").symlink_to(_shared(tmp_path_factory) / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield


@pytest.fixture
def model() -> nn.Module:
    """A tiny GPT-2 with random weights, in fp32."""
    from easyedit_ice.testing.tiny_models import SHAPES

    return SHAPES[0].build()


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of SmolLM2-135M, converted; for tests marked ``real``."""
    return _converted("smollm2-135m", tmp_path_factory)


@pytest.fixture(scope="session")
def gemma3(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of Gemma 3 270M, converted; for tests marked ``gemma``."""
    return _converted("gemma3-270m", tmp_path_factory)


def _converted(name: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    from filelock import FileLock

    from easyedit_ice.checkpoints.names import checkpoint_of
    from easyedit_ice.errors import ModelPackageError

    with FileLock(_shared(tmp_path_factory) / f"{name}.lock"):
        try:
            checkpoint_of(name)
        except ModelPackageError as error:
            pytest.skip(str(error))
    return name


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pytest's workers share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
