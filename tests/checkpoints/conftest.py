"""GGUF files of the tests' own."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_gguf import tiny_llama, write_gguf


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama in Q8_0."""
    return write_gguf(tiny_llama(), tmp_path_factory.mktemp("gguf") / "tiny-llama.gguf")
