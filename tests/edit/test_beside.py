"""What stands beside a module: deltas of packed weights, and gates, all of which are computed as one."""

from __future__ import annotations

import copy

import torch
from torch import nn

from easyedit_ice.edit.beside import gated_in, put_beside, take_away
from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.edit.gated_delta import GatedDelta

INPUTS = torch.eye(3)


def _gate(place: int, value: float) -> GatedDelta:
    """Writes a value where one of the rows of INPUTS is read."""
    return GatedDelta(
        INPUTS[place : place + 1], torch.ones(1), torch.full((1, 2), value), torch.tensor([0.4]), torch.tensor([0.6])
    )


def _module() -> nn.Linear:
    return nn.Linear(3, 2, bias=False)


def test_gates_of_many_edits_are_one_hook_and_any_of_them_comes_out_again() -> None:
    module, gates = _module(), [_gate(0, 1.0), _gate(1, 2.0), _gate(2, 3.0)]
    before = module(INPUTS)
    for gate in gates:
        put_beside(module, gate)
    assert len(module._forward_hooks) == 1
    torch.testing.assert_close(module(INPUTS), before + torch.tensor([[1.0], [2.0], [3.0]]))
    take_away(module, gates[1])
    torch.testing.assert_close(module(INPUTS), before + torch.tensor([[1.0], [0.0], [3.0]]))
    take_away(module, gates[0])
    take_away(module, gates[2])
    assert torch.equal(module(INPUTS), before)
    assert not module._forward_hooks


def test_a_copy_of_the_model_goes_its_own_way() -> None:
    model, first, second = nn.Sequential(_module()), _gate(0, 1.0), _gate(1, 2.0)
    put_beside(model[0], first)
    other = copy.deepcopy(model)
    assert torch.equal(other(INPUTS), model(INPUTS))
    put_beside(other[0], second)
    take_away(model[0], first)
    assert gated_in(model) == {}
    assert gated_in(other) == {"0": (first, second)}


def test_other_deltas_have_a_hook_each() -> None:
    module, dense, gate = _module(), DenseDelta(torch.ones(2, 3)), _gate(0, 1.0)
    before = module(INPUTS)
    put_beside(module, dense)
    put_beside(module, gate)
    torch.testing.assert_close(module(INPUTS), before + 1 + torch.tensor([[1.0], [0.0], [0.0]]))
    take_away(module, dense)
    torch.testing.assert_close(module(INPUTS), before + torch.tensor([[1.0], [0.0], [0.0]]))
