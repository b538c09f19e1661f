"""What an adapter adds leaves protected directions alone, whatever the optimiser does."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.adapters import (
    AdaptiveAdapter,
    Budget,
    DecomposedAdapter,
    DenseAdapter,
    LowRankAdapter,
)
from easyedit_ice.editors.gradient.objectives import FineTuning
from easyedit_ice.editors.gradient.protection.projector import Protection, giving_way, outside, share_kept
from easyedit_ice.editors.gradient.schedule import Schedule
from easyedit_ice.editors.gradient.trainer import Trained, train
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

FP32 = pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])
ADAPTERS = {
    "lora": lambda *on: LowRankAdapter(*on, rank=3, alpha=3, dropout=0.0),
    "adalora": lambda *on: AdaptiveAdapter(*on, budget=Budget(4, 2, 20, 2, 10), alpha=4, dropout=0.0),
    "dense": DenseAdapter,
}


def _orthonormal(width, count, seed=0):
    return torch.linalg.qr(torch.randn(width, count, generator=torch.Generator().manual_seed(seed))).Q


def _trained(model, projections, adapter, factors):
    with torch.no_grad():
        for name, reader in adapter.readers().items():
            reader.copy_(outside(reader, factors[name]))
    requests = EditRequest.prepare(FACTS)
    schedule = Schedule(num_steps=20, lr=3e-2, weight_decay=0.01, mini_batch_size=2, micro_batch_size=2)
    trained = Trained(adapter, Protection(adapter, factors))
    train(model, trained, [FineTuning(tokenizer(), requests, append_eos=True)], len(requests), schedule, seed=0)
    return adapter.deltas()


@FP32
@pytest.mark.parametrize("kind", ADAPTERS)
def test_after_training_nothing_protected_is_read(shape, kind):
    model = shape.build()
    projections = ModelAnatomy(model).match(["all"])
    factors = {p.name: _orthonormal(p.in_features, p.in_features // 2) for p in projections}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        adapter = ADAPTERS[kind](model, projections)
    deltas = _trained(model, projections, adapter, factors)
    for name, delta in deltas.items():
        reader, basis = adapter.readers()[name].detach(), factors[name]
        assert (reader @ basis).abs().max() < 1e-5
        assert (delta.matrix() @ basis).norm() <= 1e-5 * delta.norm()
    assert sum(delta.norm() for delta in deltas.values()) > 1e-2


@FP32
def test_what_is_protected_is_answered_as_before(shape):
    """A projection's output for inputs in the protected subspace is the same; for others it is not."""
    model = shape.build()
    projections = ModelAnatomy(model).match(["mlp.out"])
    factors = {p.name: _orthonormal(p.in_features, p.in_features // 2) for p in projections}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        adapter = LowRankAdapter(model, projections, rank=3, alpha=3, dropout=0.0)
    deltas = _trained(model, projections, adapter, factors)
    for p in projections:
        inside = torch.randn(5, factors[p.name].shape[1]) @ factors[p.name].T
        change = deltas[p.name].apply(inside).norm() / inside.norm()
        assert change < 1e-5 * deltas[p.name].apply(torch.randn(5, p.in_features)).norm()


def test_projecting_the_gradient_alone_would_not_do():
    """Adam scales the elements of a gradient apart, so its step leaves the subspace; what it adds is projected."""
    torch.manual_seed(0)
    basis = _orthonormal(16, 8)
    reader = torch.nn.Parameter(outside(torch.randn(2, 16), basis))
    alone = torch.nn.Parameter(reader.detach().clone())
    direction = torch.randn(2, 16)
    for parameter in (reader, alone):
        optimizer = torch.optim.AdamW([parameter], lr=0.1, weight_decay=0.0)
        protection = Protection(type("Reading", (), {"readers": lambda self, p=parameter: {"x": p}})(), {"x": basis})
        for _ in range(5):
            parameter.grad = direction * torch.arange(1, 17)
            protection.before_step()
            optimizer.step()
            if parameter is reader:
                protection.after_step()
    assert (reader @ basis).abs().max() < 1e-5
    assert (alone @ basis).abs().max() > 1e-2


def test_a_change_of_magnitudes_cannot_be_protected():
    model = SHAPES[0].build()
    adapter = DecomposedAdapter(model, ModelAnatomy(model).match(["mlp.out"]), rank=2, alpha=2, dropout=0.0)
    with pytest.raises(HyperParamsError, match="reads every input"):
        Protection(adapter, {})


def test_the_share_of_a_gradient_that_may_be_followed():
    basis = _orthonormal(12, 4)
    read, unread = torch.randn(5, 4) @ basis.T, outside(torch.randn(5, 12), basis)
    assert share_kept(read, basis) < 1e-5
    assert share_kept(unread, basis) == pytest.approx(1.0, abs=1e-5)
    assert share_kept(torch.zeros(5, 12), basis) == 0


@pytest.mark.parametrize("least", [0.1, 0.2, 0.5])
def test_protection_gives_way_until_as_much_as_asked_for_is_kept(least):
    basis = _orthonormal(12, 4)
    gradient = torch.randn(5, 4) @ basis.T + 0.01 * torch.randn(5, 12)
    share = share_kept(gradient, basis)
    assert share < 0.1
    assert share_kept(gradient, giving_way(basis, share, least)) == pytest.approx(least, rel=1e-3)


def test_protection_that_leaves_enough_stays_as_it_is():
    basis = _orthonormal(12, 4)
    assert giving_way(basis, 0.5, 0.2) is basis
