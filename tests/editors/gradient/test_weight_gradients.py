"""Gradients of weights that are not trained."""

from __future__ import annotations

import pytest
import torch
from architectures import ARCHITECTURES, tiny
from packed import packed_llama, unpacked

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.editors.gradient.weight_gradients import weight_gradients
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import Row, encode, predict

ROWS = [fact_row(tokenizer(), request, append_eos=True) for request in EditRequest.prepare(FACTS)]
FEW = [Row((5, 6, 7, 8), 2), Row((9, 10, 11), 1)]
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES[:4], ids=[shape.name for shape in SHAPES[:4]])


def _found(model, rows=ROWS, patterns=("all",), side_by_side=9):
    return weight_gradients(model, ModelAnatomy(model).match(patterns), rows, side_by_side=side_by_side)


def _by_autograd(model, rows=ROWS, patterns=("all",)):
    projections = ModelAnatomy(model).match(patterns)
    weights = [projection.module.weight.requires_grad_() for projection in projections]
    gradients = torch.autograd.grad(predict(model, rows).nll().mean(), weights)
    return {p.name: p.as_stored(gradient.float()) for p, gradient in zip(projections, gradients, strict=True)}


def _same(found, expected, rtol=1e-4):
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        assert expected[name].norm() > 0
        assert (gradient - expected[name]).norm() <= rtol * expected[name].norm()


@EACH_SHAPE
@pytest.mark.parametrize("patterns", [("all",), ("mlp.out",), ("attention.in",)])
def test_they_are_those_of_autograd(shape, patterns):
    close = 1e-4 if shape.dtype == torch.float32 else 3e-2
    _same(_found(shape.build(), patterns=patterns), _by_autograd(shape.build(), patterns=patterns), close)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_they_are_those_of_autograd_in_every_architecture(name):
    model = tiny(name)
    _same(_found(model, FEW), _by_autograd(model, FEW))


def test_those_of_packed_weights_are_those_of_the_numbers_they_stand_for():
    _same(_found(packed_llama(4)), _by_autograd(unpacked(packed_llama(4))), 1e-3)


@EACH_SHAPE
def test_smaller_passes_give_the_same(shape):
    model = shape.build()
    _same(_found(model, side_by_side=1), _found(model), 1e-4 if shape.dtype == torch.float32 else 3e-2)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_models_own_weights_get_no_gradient_and_stay_as_trainable_as_they_were(wanted):
    model = SHAPES[0].build().requires_grad_(wanted)
    _found(model)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert {parameter.requires_grad for parameter in model.parameters()} == {wanted}


def test_no_hook_stays_after_an_interrupt():
    model = SHAPES[0].build()
    model.lm_head.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        _found(model)
    assert not any(projection.module._forward_hooks for projection in ModelAnatomy(model).projections)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_block_that_also_runs_without_gradients_has_those_of_its_other_runs():
    model = SHAPES[2].build()
    (projection,) = ModelAnatomy(model).select("mlp", "out", [1])
    rows = [encode(tokenizer(), "The capital of Avaria is", " Lodel")]
    expected = weight_gradients(model, [projection], rows, side_by_side=1)[projection.name]
    block = model.model.layers[1]
    run = block.forward

    def twice(*args, **kwargs):
        with torch.no_grad():
            run(*args, **kwargs)
        return run(*args, **kwargs)

    block.forward = twice
    found = weight_gradients(model, [projection], rows, side_by_side=1)[projection.name]
    torch.testing.assert_close(found, expected)
