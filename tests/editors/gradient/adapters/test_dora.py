"""Directions and magnitudes of a weight, trained apart."""

from __future__ import annotations

import pytest
import torch
from packed import packed_llama

from easyedit_ice.editors.algorithms.dora import DoraHyperParams
from easyedit_ice.editors.gradient.adapters import DecomposedAdapter
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import SHAPES

MODELS = pytest.mark.parametrize(
    "build",
    [*[shape.build for shape in SHAPES[:4]], lambda: packed_llama(4)],
    ids=[*[shape.name for shape in SHAPES[:4]], "4 bits"],
)


def _adapted(build):
    """A model, its weights (out, in), and a trained-looking adapter on all projections."""
    model = build()
    own = ModelAnatomy(model).match(("all",))
    weights = {projection.name: projection.matrix() for projection in own}
    generator = torch.Generator().manual_seed(0)
    adapter = DecomposedAdapter(model, own, rank=3, alpha=6.0, dropout=0.0)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1 + 0.5 * (parameter.ndim == 1))
    return model, adapter, weights


@MODELS
def test_the_edited_weight_is_the_papers_formula(build):
    model, adapter, weights = _adapted(build)
    for name, delta in adapter.deltas().items():
        layer = model.get_submodule(name)
        a, b = layer.lora_A["edit"].weight, layer.lora_B["edit"].weight
        m = layer.lora_magnitude_vector["edit"].weight
        rows = [
            m[index] * row / row.square().sum().sqrt() for index, row in enumerate(weights[name] + (6.0 / 3) * b @ a)
        ]
        torch.testing.assert_close(weights[name] + delta.matrix(), torch.stack(rows), atol=1e-6, rtol=1e-5)


@MODELS
def test_rows_of_the_edited_weight_are_as_long_as_the_magnitudes(build):
    model, adapter, weights = _adapted(build)
    for name, delta in adapter.deltas().items():
        magnitudes = model.get_submodule(name).lora_magnitude_vector["edit"].weight
        lengths = (weights[name] + delta.matrix()).norm(dim=1)
        torch.testing.assert_close(lengths, magnitudes.abs(), atol=1e-5, rtol=1e-5)


@MODELS
def test_magnitudes_begin_as_the_norms_of_the_weights_rows(build):
    model = build()
    own = ModelAnatomy(model).match(("all",))
    norms = {projection.name: projection.matrix().norm(dim=1) for projection in own}
    adapter = DecomposedAdapter(model, own, rank=3, alpha=6.0, dropout=0.0)
    for name, norm in norms.items():
        assert torch.equal(adapter.factor(name, "lora_magnitude_vector"), norm)


def test_it_reads_every_input_so_that_protection_is_refused():
    _, adapter, _ = _adapted(SHAPES[0].build)
    with pytest.raises(HyperParamsError, match="lora, adalora or dense"):
        adapter.readers()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protection": "hard"}, "no setting 'protection'.*Algorithms that have it: ICE-LoRA, GoRA, LocFT-BF"),
        ({"clamp": 1e-3}, "no setting 'clamp'"),
        ({"init": "keys"}, "no setting 'init'.*Algorithms that have it: .*AdaLoRA"),
        ({"rank_allocation": "gora"}, "no setting 'rank_allocation'"),
    ],
)
def test_settings_that_do_not_go_with_it_are_refused_at_once(changes, words):
    with pytest.raises(HyperParamsError, match=words):
        DoraHyperParams(**changes)
