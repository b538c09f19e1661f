"""EasyEdit neither mistakes a model for another kind nor moves one that must not be moved."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from easyedit_ice.easyedit.plugin.patches import _name_for_host, _staying


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


class Model:
    """A model that remembers where it was sent."""

    device = "cuda:0"

    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)

    def to(self, device: str) -> None:
        self.device = device


@pytest.mark.parametrize(
    "attributes", [{"is_quantized": True}, {"hf_device_map": {"": 0}}], ids=["quantised", "spread"]
)
def test_a_model_that_cannot_be_moved_stays_while_the_editor_is_made(attributes: dict[str, object]) -> None:
    model = Model(**attributes)
    with _staying(model):
        model.to("cpu")
    assert model.device == "cuda:0"
    model.to("cpu")
    assert model.device == "cpu"


def test_any_other_model_goes_where_easyedit_sends_it() -> None:
    model = Model()
    with _staying(model):
        model.to("cpu")
    assert model.device == "cpu"
