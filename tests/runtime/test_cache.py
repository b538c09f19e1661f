"""What follows from a model is computed once, also by processes that start together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from easyedit_ice.runtime.cache import cache_folder, fingerprint, made_once


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def _writing(text: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "file").write_text(text)

    return make


def test_a_folder_belongs_to_weights_and_texts(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    first = cache_folder("kind", model, ["a", "b"])
    assert first.is_relative_to(tmp_path)
    assert cache_folder("kind", model, ["a", "b"]) == first
    assert cache_folder("other", model, ["a", "b"]) != first
    assert cache_folder("kind", model, ["ab"]) != first
    with torch.no_grad():
        model.bias[0] = -model.bias[0]
    assert cache_folder("kind", model, ["a", "b"]) != first


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    assert (made_once(tmp_path / "x", _writing("one")) / "file").read_text() == "one"
    assert (made_once(tmp_path / "x", _writing("two")) / "file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_of_two_that_make_it_at_once_the_first_stays(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        made_once(tmp_path / "x", _writing("first"))
        _writing("second")(folder)

    assert (made_once(tmp_path / "x", make) / "file").read_text() == "first"


def test_what_is_interrupted_is_not_there(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        _writing("half")(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_once(tmp_path / "x", make)
    assert list(tmp_path.iterdir()) == []


def test_a_fingerprint_sees_one_bit_a_name_a_shape_and_a_type() -> None:
    weight = torch.zeros(2, 3)
    other = weight.clone()
    other[0, 0] = 1e-45
    prints = [
        fingerprint([("w", weight)]),
        fingerprint([("w", other)]),
        fingerprint([("v", weight)]),
        fingerprint([("w", weight.T.contiguous())]),
        fingerprint([("w", weight.bfloat16())]),
        fingerprint([("w", weight), ("s", torch.tensor(1.0))]),
    ]
    assert len(set(prints)) == len(prints)


def test_a_fingerprint_does_not_mind_order_and_layout() -> None:
    one, two = torch.randn(2, 3), torch.randn(3)
    assert fingerprint([("a", one), ("b", two)]) == fingerprint([("b", two), ("a", one.T.contiguous().T)])
