"""Ranks and start by the gradient, as published GoRA has them."""

from __future__ import annotations

import pytest
import torch
from packed import packed_llama

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.editors.gradient.adapters import LowRankAdapter
from easyedit_ice.editors.gradient.adapters.gora_init import allocated_ranks, start_down_the_gradient
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.editors.gradient.weight_gradients import weight_gradients
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import predict

ROWS = [fact_row(tokenizer(), request, append_eos=True) for request in EditRequest.prepare(FACTS)]
MODELS = {**{shape.name: shape.build for shape in SHAPES[:4:2]}, "4 bits": lambda: packed_llama(4)}
EACH = pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
WIDE = {"least": 0, "most": 10**6}


def _gradients(model, projections):
    return weight_gradients(model, projections, ROWS, side_by_side=9)


@EACH
def test_ranks_share_a_budget_by_importance(build):
    model = build()
    own = ModelAnatomy(model).match(["all"])
    gradients = _gradients(model, own)
    ranks = allocated_ranks(own, gradients, rank=40, **WIDE)
    size = {p.name: (p.in_features + p.out_features) ** 0.5 for p in own}
    spent = sum(rank * size[name] for name, rank in ranks.items())
    budget = 40 * sum(size.values())
    assert abs(spent - budget) <= 0.5 * sum(size.values()), "each is rounded by one half at most"
    importance = {p.name: (p.matrix() * gradients[p.name]).abs().mean().item() for p in own}
    expected = {name: budget * part / sum(importance.values()) / size[name] for name, part in importance.items()}
    assert ranks == {name: round(value) for name, value in expected.items()}
    alike = [name for name in ranks if size[name] == next(iter(size.values()))]
    assert len(alike) > 1
    by_importance = sorted(alike, key=importance.get)
    assert [ranks[name] for name in by_importance] == sorted(ranks[name] for name in alike)


@EACH
def test_ranks_stay_within_their_bounds(build):
    model = build()
    own = ModelAnatomy(model).match(["all"])
    ranks = allocated_ranks(own, _gradients(model, own), rank=8, least=7, most=9)
    assert set(ranks.values()) == {7, 8, 9} or {7, 9} <= set(ranks.values())


def test_projections_that_matter_alike_get_the_same_rank_and_none_that_does_not_matter_is_forgotten():
    model = SHAPES[0].build()
    own = ModelAnatomy(model).match(["mlp.out"])
    alike = {p.name: p.matrix().reciprocal() for p in own}
    assert set(allocated_ranks(own, alike, rank=5, **WIDE).values()) == {5}
    nothing = {p.name: torch.zeros(p.out_features, p.in_features) for p in own}
    assert set(allocated_ranks(own, nothing, rank=5, least=2, most=9).values()) == {2}


def test_an_edit_has_the_ranks_of_its_gradient_and_the_scale_of_the_setting():
    shape = SHAPES[0]
    hparams = LoraHyperParams(rank=6, rank_allocation="gora", rank_min=2, rank_max=12, num_steps=2, append_eos=True)
    hparams = hparams.replace(target_modules=["all"], depth=[0.0, 1.0])
    update = solve(shape.build(), tokenizer(), FACTS, hparams)
    model = shape.build()
    own = ModelAnatomy(model).match(["all"])
    ranks = allocated_ranks(own, _gradients(model, own), rank=6, least=2, most=12)
    assert len(set(ranks.values())) > 1
    assert update.info["adapter"]["ranks"] == ranks
    assert {name: delta.rank for name, delta in update.deltas.items()} == ranks
    model = shape.build()
    adapter = LowRankAdapter(model, ModelAnatomy(model).match(["all"]), rank=6, alpha=12.0, dropout=0.0, ranks=ranks)
    assert {layer.scaling["edit"] for layer in adapter.layers().values()} == {2.0}


def _started(build, gain, rank=4):
    """A model whose adapter starts down the gradient, the gradients, and its A before."""
    model = build()
    own = ModelAnatomy(model).match(["mlp.out", "attention.in"])
    gradients = _gradients(model, own)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        adapter = LowRankAdapter(model, own, rank=rank, alpha=8.0, dropout=0.0)
    before = {name: a.detach().clone() for name, a in adapter.readers().items()}
    start_down_the_gradient(adapter, gradients, gain)
    return model, adapter, gradients, before


@EACH
def test_the_start_is_the_papers_formula_and_leaves_a_as_it_was(build):
    _, adapter, gradients, before = _started(build, 0.05)
    for name, delta in adapter.deltas().items():
        a = before[name]
        assert torch.equal(adapter.readers()[name], a)
        onto = a.T @ torch.linalg.inv(a @ a.T) @ a
        expected = -0.05 * (a.shape[1] / a.shape[0]) ** 0.5 * gradients[name] @ onto
        torch.testing.assert_close(delta.matrix(), expected, atol=1e-7, rtol=1e-3)


@EACH
def test_the_start_is_about_as_long_as_the_gain_says(build):
    _, adapter, gradients, _ = _started(build, 0.05, rank=8)
    lengths = [delta.norm() / gradients[name].norm().item() for name, delta in adapter.deltas().items()]
    assert 0.02 < sum(lengths) / len(lengths) < 0.1


@EACH
def test_the_start_goes_down_and_not_up_and_a_short_one_lowers_the_loss(build):
    with torch.no_grad():
        before = predict(build(), ROWS).nll().mean()
        model, adapter, gradients, _ = _started(build, 0.05)
        assert predict(model, ROWS).nll().mean() < before
    for name, delta in adapter.deltas().items():
        assert (delta.matrix() * gradients[name]).sum() < 0
