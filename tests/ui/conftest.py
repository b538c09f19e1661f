"""A workbench with the embedded model, and one edit made on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typed_facts import FACT

from easyedit_ice.ui.workbench import Trial, Workbench


@pytest.fixture(scope="session")
def loaded() -> Workbench:
    return Workbench.load()


@pytest.fixture(scope="session")
def made(loaded: Workbench) -> Trial:
    """FACT, made by the method that is recommended; the model is without it."""
    return loaded.make(FACT)


@pytest.fixture
def bench(loaded: Workbench) -> Iterator[Workbench]:
    """A workbench of its own on the loaded model, which ends without any edit."""
    own = Workbench(loaded.model, loaded.tok, loaded.name)
    yield own
    own.hold(())
    assert own.untouched
