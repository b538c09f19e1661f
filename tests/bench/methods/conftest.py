"""Methods on the embedded model, with few steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from quick_methods import EXAMPLES, quick_method

from easyedit_ice import factworld


@pytest.fixture
def method() -> Callable[..., Any]:
    """Makes a method that edits the embedded model quickly."""

    def make(name: str, **settings: Any) -> Any:
        return quick_method(name, factworld.load(), EXAMPLES, **settings)

    return make
