"""A change beside a module is added to what it returns, in its type, until it is taken out."""

from __future__ import annotations

import copy
import pickle

import torch
from torch import nn

from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.model.side_branch import SideBranch

INPUT = torch.ones(1, 3, dtype=torch.bfloat16)


def _module() -> nn.Linear:
    return nn.Linear(3, 2, dtype=torch.bfloat16)


def test_it_adds_in_the_modules_type_and_leaves_no_trace() -> None:
    module = _module()
    before = module(INPUT)
    branch = SideBranch(DenseDelta(torch.full((2, 3), 4.0)).apply)
    branch.attach(module)
    assert torch.equal(module(INPUT), before + torch.full((1, 2), 12.0, dtype=torch.bfloat16))
    branch.detach(module)
    assert torch.equal(module(INPUT), before)
    assert not module._forward_hooks


def test_no_change_is_none_at_all() -> None:
    module = _module()
    before = module(INPUT)
    SideBranch(lambda inputs: None).attach(module)
    assert torch.equal(module(INPUT), before)


def test_copies_of_the_model_have_it_too() -> None:
    module = _module()
    SideBranch(DenseDelta(torch.ones(2, 3)).apply).attach(module)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(INPUT), module(INPUT))
