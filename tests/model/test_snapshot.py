"""A model is left as it was found, whatever happens in between."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest
import torch
from torch import nn

from easyedit_ice.editors.gradient.adapters import LowRankAdapter
from easyedit_ice.model.edit_state import ATTRIBUTE
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer


def _model() -> nn.Module:
    return SHAPES[0].build()


def _replace_a_module(model, tok):
    model.transformer.h[0].mlp = nn.Identity()


def _add_a_module(model, tok):
    model.transformer.h[0].extra = nn.Linear(2, 2)


def _remove_a_module(model, tok):
    del model.transformer.h[1].attn


def _insert_an_adapter(model, tok):
    from easyedit_ice.model.anatomy import ModelAnatomy

    LowRankAdapter(model, ModelAnatomy(model).match(["all"]), rank=2, alpha=4, dropout=0.1)


def _hook(model, tok):
    model.transformer.h[0].register_forward_hook(lambda module, args, output: output)
    model.transformer.h[0].register_forward_pre_hook(lambda module, args: args)
    model.transformer.h[0].register_full_backward_hook(lambda module, grad_input, grad_output: None)


def _freeze(model, tok):
    model.requires_grad_(False)


def _leave_gradients(model, tok):
    model(input_ids=torch.tensor([[1, 2]])).logits.sum().backward()


def _train(model, tok):
    model.train()


def _change_the_configuration(model, tok):
    model.config.use_cache = False
    model.generation_config.max_length = 3


def _change_padding(model, tok):
    tok.padding_side = "right"
    tok.pad_token = "a"


def _set_an_attribute(model, tok):
    model.peft_config = {"edit": 1}
    model.transformer.gradient_checkpointing = True
    model.forward = lambda *args: None


def _checkpoint_gradients(model, tok):
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.enable_input_require_grads()


DISTURBANCES = [
    _replace_a_module,
    _add_a_module,
    _remove_a_module,
    _insert_an_adapter,
    _hook,
    _freeze,
    _leave_gradients,
    _train,
    _change_the_configuration,
    _change_padding,
    _set_an_attribute,
    _checkpoint_gradients,
]


def _traits(model, tok):
    modules = dict(model.named_modules())
    return {
        "modules": {name: id(module) for name, module in modules.items()},
        "attributes": {
            name: {key: copy(value) for key, value in vars(module).items() if key != ATTRIBUTE}
            for name, module in modules.items()
        },
        "parameters": {
            name: (id(p), p.requires_grad, None if p.grad is None else p.grad.clone())
            for name, p in model.named_parameters()
        },
        "config": (model.config.to_dict(), model.generation_config.to_dict()),
        "padding": (tok.padding_side, tok.pad_token),
    }


def _same(one, other) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one is other or bool(np.all(one == other))


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt], ids=["returns", "raises", "Ctrl-C"])
@pytest.mark.parametrize("disturb", DISTURBANCES, ids=[d.__name__.strip("_") for d in DISTURBANCES])
def test_nothing_is_left_of(disturb, error):
    model, tok = _model(), copy(tokenizer())
    before = _traits(model, tok)
    try:
        with preserved(model, tok):
            disturb(model, tok)
            assert not _same(_traits(model, tok), before)
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt) as raised:
        assert type(raised) is error
    assert _same(_traits(model, tok), before)


def test_the_disturbed_model_works_again():
    model, tok = _model(), copy(tokenizer())
    ids = torch.tensor([[1, 2, 3]])
    before = model(input_ids=ids).logits
    for disturb in DISTURBANCES:
        with preserved(model, tok):
            disturb(model, tok)
    assert torch.equal(model(input_ids=ids).logits, before)


def test_a_hook_registered_before_stays_and_can_still_be_removed():
    model, calls = _model(), []
    handle = model.register_forward_hook(lambda module, args, output: calls.append(1))
    with preserved(model):
        _hook(model, None)
    model(input_ids=torch.tensor([[1]]))
    assert len(calls) == 1
    handle.remove()
    model(input_ids=torch.tensor([[1]]))
    assert len(calls) == 1


def test_a_hook_removed_inside_is_there_again():
    model, calls = _model(), []
    handle = model.register_forward_hook(lambda module, args, output: calls.append(1))
    with preserved(model):
        handle.remove()
    model(input_ids=torch.tensor([[1]]))
    assert len(calls) == 1


@pytest.mark.parametrize("training", [True, False])
def test_mixed_training_modes_are_kept_module_by_module(training):
    model = _model().train(training)
    model.transformer.h[1].train(not training)
    before = {name: module.training for name, module in model.named_modules()}
    with preserved(model):
        model.train(not training)
    assert {name: module.training for name, module in model.named_modules()} == before


def test_existing_gradients_stay():
    model = _model()
    _leave_gradients(model, None)
    before = {name: p.grad for name, p in model.named_parameters()}
    with preserved(model):
        model.zero_grad()
    assert all(p.grad is before[name] for name, p in model.named_parameters())


def test_the_random_state_of_torch_goes_on_as_if_nothing_had_been_drawn():
    before = torch.get_rng_state()
    with preserved(_model()):
        torch.manual_seed(5)
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_changed_weights_are_not_its_concern():
    model = _model()
    with preserved(model), torch.no_grad():
        model.transformer.wte.weight[0, 0] = 7
    assert model.transformer.wte.weight[0, 0] == 7


def test_tied_weights_stay_tied():
    model = _model()
    with preserved(model):
        model.lm_head.weight = nn.Parameter(torch.zeros_like(model.lm_head.weight))
    assert model.lm_head.weight is model.transformer.wte.weight
