"""The weights of a base model can be brought back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from easyedit_ice.bench.methods.weights import BaseWeights, same_bits
from easyedit_ice.errors import UpdateError


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2).bfloat16())


def test_all_that_was_written_is_found_and_put_back(model: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    base = BaseWeights(model)
    assert base.differing() == {}
    with torch.no_grad():
        model[0].weight[0, 0] += 1
        model[1].running_mean += 1
        model[2].bias.data = model[2].bias.float()
    assert set(base.differing()) == {"0.weight", "1.running_mean", "2.bias"}
    base.put({})
    assert all(same_bits(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert base.differing() == {}


def test_a_state_of_edits_can_be_put_in(model: nn.Module) -> None:
    base = BaseWeights(model)
    with torch.no_grad():
        model[0].weight += 1
    state = base.differing()
    base.put({})
    assert base.changed_since(state) == ["0.weight"]
    base.put(state)
    assert base.changed_since(state) == []
    assert torch.equal(model[0].weight, state["0.weight"])


@pytest.mark.parametrize("state", [{"9.weight": torch.zeros(2)}, {"0.weight": torch.zeros(2)}])
def test_a_state_of_another_model_is_refused(state: dict, model: nn.Module) -> None:
    base = BaseWeights(model)
    with pytest.raises(UpdateError, match="same model"):
        base.put(state)
    assert base.differing() == {}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_equal_numbers_of_other_bits_are_not_the_same(dtype: torch.dtype) -> None:
    zero, nan = torch.zeros(2, dtype=dtype), torch.full((2,), float("nan"), dtype=dtype)
    assert not same_bits(zero, -zero)
    assert same_bits(nan, nan.clone())
