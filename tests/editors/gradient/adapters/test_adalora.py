"""Adapters whose rank falls while they are trained."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from packed import packed_llama
from quick import FEW_TEXTS

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.adalora import AdaLoraHyperParams
from easyedit_ice.editors.gradient import build_adapter as making
from easyedit_ice.editors.gradient import solve as module
from easyedit_ice.editors.gradient.adapters import AdaptiveAdapter, Budget
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

IDS = torch.tensor([[5, 6, 7, 8, 9]])
FP32 = pytest.mark.parametrize("shape", SHAPES[:4:2], ids=[shape.name for shape in SHAPES[:4:2]])
QUICK = {"num_steps": 12, "rank": 3, "lr": 1e-2, "stop_nll": None}


def _adapter(model, patterns=("all",), **budget):
    settings = {"start": 6, "target": 4, "total": 20, "tinit": 3, "tfinal": 5} | budget
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        own = ModelAnatomy(model).match(patterns)
        return AdaptiveAdapter(model, own, budget=Budget(**settings), alpha=6.0, dropout=0.0)


def _ranks_of_steps(model, adapter, steps=20):
    """The mean rank after each of some optimiser steps."""
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=1e-2)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        (model(input_ids=IDS, labels=IDS).loss + adapter.penalty()).backward()
        optimizer.step()
        adapter.stepped()
        ranks = adapter.report()["ranks"].values()
        found.append(sum(ranks) / len(ranks))
    return found


@FP32
def test_the_rank_falls_along_the_cubic_and_ends_at_its_target(shape):
    model = shape.build()
    adapter = _adapter(model)
    count = len(adapter.projections)
    planned = [int(2 * count * (1 - max(step - 3, 0) / 12) ** 3 + 4 * count) / count for step in range(1, 16)]
    assert _ranks_of_steps(model, adapter) == pytest.approx([*planned, *[4.0] * 5])


def test_the_rank_falls_every_so_many_steps():
    model = SHAPES[0].build()
    ranks = _ranks_of_steps(model, _adapter(model, interval=4))
    falls = [step for step, (before, after) in enumerate(pairwise(ranks), 2) if after < before]
    assert falls == [4, 8, 12, 15]


def test_it_has_settled_when_the_last_reduction_is_done():
    model = SHAPES[0].build()
    adapter = _adapter(model)
    _ranks_of_steps(model, adapter, 14)
    assert not adapter.settled
    _ranks_of_steps(model, adapter, 1)
    assert adapter.settled


@pytest.mark.parametrize("model", [SHAPES[0].build, SHAPES[2].build, lambda: packed_llama(4)])
def test_the_rank_goes_where_it_is_needed(model):
    model = model()
    adapter = _adapter(model)
    _ranks_of_steps(model, adapter)
    ranks = adapter.report()["ranks"]
    assert len(set(ranks.values())) > 1
    assert all(0 <= rank <= 6 for rank in ranks.values())


@FP32
@pytest.mark.parametrize("objective", ["ft", "ice"])
def test_the_reported_ranks_are_those_of_the_deltas_and_their_mean_is_the_setting(shape, objective):
    texts = FEW_TEXTS if objective == "ice" else {}
    hparams = AdaLoraHyperParams(**QUICK, objective=objective, target_modules=["all"], **texts)
    update = solve(shape.build(), tokenizer(), FACTS, hparams)
    ranks = update.info["adapter"]["ranks"]
    assert ranks == {name: delta.rank for name, delta in update.deltas.items()}
    assert ranks == {name: int(torch.linalg.matrix_rank(delta.matrix())) for name, delta in update.deltas.items()}
    assert sum(ranks.values()) == 3 * len(ranks)


def test_an_update_whose_projections_lost_all_rank_is_saved_and_committed(tmp_path):
    hparams = AdaLoraHyperParams(**QUICK | {"rank": 1}, init_r=2, target_modules=["all"])
    update = solve(SHAPES[0].build(), tokenizer(), FACTS, hparams)
    assert 0 in update.info["adapter"]["ranks"].values()
    update.save(tmp_path)
    model = SHAPES[0].build()
    type(update).load(tmp_path).commit(model)
    before = {name: p.matrix() for name, p in _projections(SHAPES[0].build()).items()}
    changed = {name for name, p in _projections(model).items() if not torch.equal(p.matrix(), before[name])}
    assert changed == {name for name, rank in update.info["adapter"]["ranks"].items() if rank}


def _projections(model):
    return {projection.name: projection for projection in ModelAnatomy(model).projections}


def test_training_ends_early_only_after_the_ranks_have_fallen():
    early = AdaLoraHyperParams(**QUICK | {"stop_nll": 99.0}, tinit=2, tfinal=4)
    update = solve(SHAPES[0].build(), tokenizer(), FACTS, early)
    assert update.info["course"]["learned"]
    assert update.info["course"]["steps"] == 12 - 4 + 1
    assert set(update.info["adapter"]["ranks"].values()) <= set(range(4))


def _budget(facts, hparams):
    return hparams.trained.budget(hparams.most_steps(facts))


def test_the_schedule_counts_the_steps_of_all_mini_batches():
    budget = _budget(5, AdaLoraHyperParams(num_steps=30, mini_batch_size=2, rank=8))
    assert (budget.start, budget.target, budget.total, budget.tinit, budget.tfinal) == (12, 8, 90, 9, 45)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tinit": 6, "tfinal": 6}, "tinit is 6 and tfinal 6, but there are 12 steps at most"),
        ({"tinit": 0, "tfinal": 12}, "tinit is 0 and tfinal 12"),
        ({"tinit": 12}, "tinit is 12"),
        ({"num_steps": 2}, "2 steps at most and tfinal is 1, which leaves 1 .* raise num_steps"),
        ({"num_steps": 1}, "1 steps at most and tfinal is 0, which leaves 1 .* raise num_steps"),
        ({"tinit": 0, "tfinal": 11}, "12 steps at most and tfinal is 11, which leaves 1 .* lower tfinal"),
        ({"init_r": 3}, "init_r is 3 and rank 3; AdaLoRA starts with more rank"),
        ({"init_r": 2}, "init_r is 2 and rank 3"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused_by_name(changes, words):
    model = SHAPES[0].build()
    with pytest.raises(HyperParamsError, match=words):
        solve(model, tokenizer(), FACTS, AdaLoraHyperParams(**QUICK | changes))
    assert not any("lora" in name for name, _ in model.named_modules())


@pytest.mark.parametrize("steps", [3, 4, 5])
def test_the_usual_schedule_fits_few_steps(steps):
    update = solve(SHAPES[0].build(), tokenizer(), FACTS, AdaLoraHyperParams(**QUICK | {"num_steps": steps}))
    ranks = update.info["adapter"]["ranks"].values()
    assert sum(ranks) == 3 * len(ranks)


def _distance(factors) -> float:
    """Mean of ‖F Fᵀ − I‖."""
    return sum((own @ own.T - torch.eye(len(own))).norm().item() for own in factors) / len(factors)


@FP32
@pytest.mark.parametrize("objective", ["ft", "ice"])
def test_the_penalty_draws_the_factors_towards_orthogonality_whatever_the_objective(shape, objective, monkeypatch):
    held = []
    monkeypatch.setattr(module, "make_adapter", lambda *args: held.append(making.make_adapter(*args)) or held[-1])
    texts = FEW_TEXTS | {"free_weight": 0.0} if objective == "ice" else {}
    distances = {}
    for weight in (0.0, 0.1):
        hparams = AdaLoraHyperParams(**QUICK, orth_reg_weight=weight, objective=objective, **texts)
        hparams = hparams.replace(num_steps=30, lr=4e-2, max_grad_norm=None)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module.solve(shape.build(), tokenizer(), EditRequest.prepare(FACTS), hparams)
        adapter = held[-1].adapter
        names = list(adapter.readers())
        factors = [adapter.factor(name, "lora_A").detach() for name in names]
        factors += [adapter.factor(name, "lora_B").detach().T for name in names]
        distances[weight] = _distance(factors)
    assert distances[0.1] < 0.3
    assert distances[0.1] < 0.3 * distances[0.0]


def test_the_penalty_is_the_mean_distance_of_all_factors_from_orthogonality_weighted():
    adapter = _adapter(SHAPES[0].build(), orthogonality=0.7)
    factors = [adapter.factor(name, "lora_A").detach() for name in adapter.layers()]
    factors += [adapter.factor(name, "lora_B").detach().T for name in adapter.layers()]
    assert adapter.penalty().item() == pytest.approx(0.7 * _distance(factors), rel=1e-5)
    assert _adapter(SHAPES[0].build(), orthogonality=0.0).penalty() is None
