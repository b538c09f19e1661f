"""Whatever stands in a saved update: the model holds it and gives it back, or it is refused by name."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from values import FACTS, JSON

from easyedit_ice import solve
from easyedit_ice.edit.delta import DenseDelta, LowRankDelta
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import EasyEditIceError, UpdateError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

WEIGHTS, ABOUT = "update.safetensors", "update.json"
TYPES = (torch.float32, torch.float16, torch.int64, torch.bool)
TENSORS = st.builds(
    lambda shape, dtype: torch.ones(shape).to(dtype), st.lists(st.integers(0, 48), max_size=3), st.sampled_from(TYPES)
)
QUICK = {
    "LoRA-BF": {"num_steps": 1, "lr": 1e-3, "rank": 2},
    "FastROME": {"mom2_adjustment": False, "v_num_grad_steps": 1},
}


@pytest.fixture(scope="module")
def model():
    return SHAPES[2].build()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    down, up = ModelAnatomy(model).match(["down_proj", "up_proj"], [0])
    deltas = {
        down.name: LowRankDelta(torch.ones(2, down.in_features), torch.ones(down.out_features, 2)),
        up.name: DenseDelta(torch.ones(up.out_features, up.in_features)),
    }
    folder = tmp_path_factory.mktemp("saved")
    WeightUpdate(deltas, {"algorithm": "x"}, {down.name: torch.ones(1, down.in_features)}).save(folder)
    return folder


def _bytes(folder, data):
    name = data.draw(st.sampled_from([WEIGHTS, ABOUT]))
    content = bytearray((folder / name).read_bytes())
    for place in data.draw(st.lists(st.integers(0, min(len(content), 600) - 1), min_size=1, max_size=3)):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    (folder / name).write_bytes(content[:end])


def _entries(folder, data):
    told = json.loads((folder / ABOUT).read_text())
    told[data.draw(st.sampled_from(sorted(told)))] = data.draw(JSON)
    if isinstance(told["kinds"], dict) and told["kinds"] and data.draw(st.booleans()):
        told["kinds"][data.draw(st.sampled_from(sorted(told["kinds"])))] = data.draw(JSON)
    (folder / ABOUT).write_text(json.dumps(told))


def _tensors(folder, data):
    tensors = load_file(folder / WEIGHTS)
    tensors[data.draw(st.sampled_from(sorted(tensors)))] = data.draw(TENSORS)
    save_file(tensors, folder / WEIGHTS)


@given(st.sampled_from([_bytes, _entries, _tensors]), st.data())
def test_damaged_updates_leave_the_model_as_it_was(model, saved, tmp_path, damage, data):
    folder = tmp_path / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(saved, folder)
    damage(folder, data)
    before = _bits(model)
    try:
        update = WeightUpdate.load(folder)
        update.commit(model)
    except UpdateError as error:
        assert str(error)
    else:
        update.revert(model)
    assert _same(model, before)


@settings(max_examples=max(10, settings().max_examples // 10))
@given(st.lists(FACTS, min_size=1, max_size=2), st.sampled_from(sorted(QUICK)))
def test_odd_facts_leave_the_model_as_it_was(model, facts, algorithm):
    before = _bits(model)
    try:
        solve(model, tokenizer(), facts, ALGORITHMS[algorithm].hparams_class(**QUICK[algorithm]))
    except EasyEditIceError as error:
        assert str(error)
    assert _same(model, before)


def _bits(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _same(model, before):
    return all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
