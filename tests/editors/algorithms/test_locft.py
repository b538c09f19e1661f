"""LocFT-BF: the weights of one late projection."""

from __future__ import annotations

import pytest
import torch
from architectures import ARCHITECTURES, tiny

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.editors.algorithms.locft import LocFTHyperParams
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

QUICK = {"num_steps": 4, "lr": 1e-3}
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES[:4], ids=[shape.name for shape in SHAPES[:4]])


@pytest.mark.parametrize(("count", "layer"), [(1, 0), (2, 1), (6, 4), (12, 8), (24, 16), (32, 22), (48, 33)])
def test_the_block_is_a_late_one_and_the_papers_of_32(count, layer):
    assert LocFTHyperParams().usual_layers(count) == [layer]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_one_mlp_output_projection_is_changed_in_every_architecture(name):
    model = tiny(name, vocab_size=len(tokenizer()))
    (changed,) = solve(model, tokenizer(), FACTS, LocFTHyperParams(num_steps=1)).deltas
    (late,) = ModelAnatomy(model).match(["mlp.out"], [1])
    assert changed == late.name


@EACH_SHAPE
def test_no_weight_but_that_one_changes(shape):
    model = shape.build()
    solve(model, tokenizer(), FACTS, LocFTHyperParams(**QUICK)).commit(model)
    changed = [
        name
        for (name, now), before in zip(model.named_parameters(), shape.build().parameters(), strict=True)
        if not torch.equal(now, before)
    ]
    (late,) = ModelAnatomy(model).match(["mlp.out"], [-1])
    assert changed == [late.weight_name]


@EACH_SHAPE
def test_all_its_weights_are_trained_in_fp32(shape):
    update = solve(shape.build(), tokenizer(), FACTS, LocFTHyperParams(**QUICK))
    (delta,) = update.deltas.values()
    assert isinstance(delta, DenseDelta)
    assert delta.values.dtype == torch.float32
    assert update.info["adapter"]["trained"] == delta.values.numel()
    assert torch.linalg.matrix_rank(delta.values) > 16, "no low-rank change"


@EACH_SHAPE
def test_named_layers_and_projections_are_changed_instead(shape):
    model = shape.build()
    hparams = LocFTHyperParams(**QUICK, layers=[0], target_modules=["mlp.in"])
    named = {projection.name for projection in ModelAnatomy(model).match(["mlp.in"], [0])}
    assert set(solve(model, tokenizer(), FACTS, hparams).deltas) == named


def test_it_trains_in_the_papers_large_batches_at_a_rate_that_is_found():
    hparams = LocFTHyperParams()
    assert (hparams.lr, hparams.mini_batch_size, hparams.depth) == (None, 100, [0.7, 0.7])
