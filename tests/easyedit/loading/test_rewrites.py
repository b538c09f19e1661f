"""EasyEdit's source is changed where it must be and nowhere else."""

from __future__ import annotations

import logging
import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from easyedit_ice.easyedit.loading.rewrites import HELPERS, compile_changed


def run(source: str, **names: Any) -> dict[str, Any]:
    """Names defined by a module of EasyEdit with this source."""
    code = compile_changed(source.encode(), "module.py")
    assert code is not None
    namespace = {**HELPERS, **names}
    exec(code, namespace)
    return namespace


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.parametrize(("device", "expected"), [("cpu", "cpu"), (0, "cpu"), ("1", "cpu"), (None, "cpu")])
@pytest.mark.usefixtures("no_gpu")
def test_the_releases_device_string_means_the_cpu_without_a_gpu(device: Any, expected: str) -> None:
    assert run("place = f'cuda:{device}'", device=device)["place"] == torch.device(expected)


@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", "cpu"), (0, "cuda:0"), ("1", "cuda:1"), ("cuda:1", "cuda:1"), (None, "cuda:0")]
)
@pytest.mark.usefixtures("gpu")
def test_the_releases_device_string_keeps_its_meaning_with_a_gpu(device: Any, expected: str) -> None:
    assert run("place = f'cuda:{device}'", device=device)["place"] == torch.device(expected)


@pytest.mark.usefixtures("no_gpu")
def test_the_helper_is_found_within_classes_and_nested_functions() -> None:
    source = """
class Editor:
    device = 0
    def edit(self):
        def place():
            return f"cuda:{self.device}"
        return place()
"""
    assert run(source)["Editor"]().edit() == torch.device("cpu")


@pytest.mark.usefixtures("no_gpu")
def test_tensors_sent_to_cuda_stay_on_the_cpu_without_a_gpu() -> None:
    assert run("moved = tensor.to('cuda')", tensor=torch.ones(1))["moved"].device == torch.device("cpu")


def test_a_cpu_has_a_last_part_of_its_device() -> None:
    assert run("part = str(device).split(':')[1]  # cuda", device="cpu")["part"] == "cpu"
    assert run("part = str(device).split(':')[1]  # cuda", device="cuda:3")["part"] == "3"


@pytest.mark.parametrize("wrap", [lambda states: (states,), lambda states: states], ids=["tuple", "tensor"])
def test_hidden_states_are_edited_in_tuples_and_in_tensors(wrap: Any) -> None:
    states = torch.zeros(2, 3, 4)
    run("cur_out[0][1, 2, :] += 1", cur_out=wrap(states))
    assert states.sum() == states[1, 2].sum() == 4


def test_an_adapters_configuration_is_deleted_only_if_it_is_there() -> None:
    source = "del self.model.peft_config"
    with_config, without = SimpleNamespace(peft_config={}), SimpleNamespace()
    for model in (with_config, without):
        run(source, self=SimpleNamespace(model=model))
        assert not hasattr(model, "peft_config")


def test_imports_neither_configure_logging_nor_seed() -> None:
    source = """
import logging, random
logging.basicConfig(level=logging.DEBUG)
def seed_everything(seed):
    random.seed(seed)
seed_everything(42)
"""
    before = random.getstate(), logging.root.level, list(logging.root.handlers)
    names = run(source)
    assert (random.getstate(), logging.root.level, list(logging.root.handlers)) == before
    names["seed_everything"](42)
    assert random.getstate() != before[0], "called by the user, it seeds"
    random.setstate(before[0])


@pytest.mark.parametrize("source", ["x = 1", "device = 'cuda'", "f'{a}cuda:{b}'", "f'cuda:{a!r}'", "x.to('cuda', y)"])
def test_other_source_is_left_alone(source: str) -> None:
    assert compile_changed(source.encode(), "module.py") is None


def test_line_numbers_stay() -> None:
    code = compile_changed(b"logging.basicConfig()\n\ndef late():\n    return f'cuda:{0}'\n", "module.py")
    assert code is not None
    namespace: dict[str, Any] = dict(HELPERS)
    exec(code, namespace)
    assert namespace["late"].__code__.co_firstlineno == 3
