"""The name by which EasyEdit's evaluation tells architectures."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from easyedit_ice.host.patches import _name_for_host


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("/models/gpt2-xl", "gpt2", "/models/gpt2-xl"),
        ("/mnt/t50/llama", "llama", "llama"),
        ("/mnt/t50/llama/", "llama", "llama"),
        ("gpt5t5", "gpt2", "gpt2"),
        ("google/t5-small", "t5", "google/t5-small"),
        (None, "llama", "stored/name"),
    ],
)
def test_no_decoder_is_taken_for_a_t5(name: str | None, kind: str, expected: str) -> None:
    config = SimpleNamespace(model_type=kind, _name_or_path="stored/name")
    assert _name_for_host(name, SimpleNamespace(config=config)) == expected
