"""Steps keep off what general text's predictions depend on."""

from __future__ import annotations

import pytest
import torch
from packed import packed_llama

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.fast_gate import FastGateHyperParams
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.editors.gradient.adapters import DecomposedAdapter, DenseAdapter, LowRankAdapter
from easyedit_ice.editors.gradient.objectives import FineTuning
from easyedit_ice.editors.gradient.protection.projector import Protection, leading, softened
from easyedit_ice.editors.gradient.schedule import Schedule
from easyedit_ice.editors.gradient.trainer import Trained, train
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute import output_moments
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

ADAPTERS = {"lora": lambda *on: LowRankAdapter(*on, rank=3, alpha=3, dropout=0.0), "dense": DenseAdapter}
SETTINGS = {
    "lr": 0.1,
    "optimizer": "sgd",
    "num_steps": 4,
    "neighbour_softness": None,
    "mom2_dataset": "factworld",
    "dynamic_multiplier": 2,
}


def _moment(width: int, seed: int = 0) -> torch.Tensor:
    """A second moment with a few directions of much energy."""
    rows = torch.randn(4 * width, width, generator=torch.Generator().manual_seed(seed))
    rows = rows * torch.logspace(0, -2, width)
    return rows.T @ rows


@pytest.mark.parametrize("shape", SHAPES[:3:2], ids=lambda shape: shape.name)
@pytest.mark.parametrize("kind", ADAPTERS)
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_nothing_is_written_along_directions_that_are_protected_wholly(shape, kind, optimizer) -> None:
    model = shape.build()
    projections = ModelAnatomy(model).match(["mlp.out"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        adapter = ADAPTERS[kind](model, projections)
    read = {p.name: torch.zeros(p.in_features, 1) for p in projections}
    unwritten = {p.name: leading(_moment(p.out_features), 0.9, p.out_features // 2) for p in projections}
    requests = EditRequest.prepare(FACTS)
    schedule = Schedule(
        num_steps=8, optimizer=optimizer, lr=0.03 if optimizer == "adamw" else 1.0, weight_decay=0, mini_batch_size=2
    )
    trained = Trained(adapter, Protection(adapter, read, unwritten))
    train(model, trained, [FineTuning(tokenizer(), requests, append_eos=True)], len(requests), schedule, seed=0)
    for name, delta in adapter.deltas().items():
        assert delta.norm() > 1e-3
        assert (unwritten[name].T @ delta.matrix()).norm() < 1e-5 * delta.norm()


def test_a_step_is_turned_and_as_long_as_it_was() -> None:
    moment = _moment(12)
    writer, reader = torch.nn.Parameter(torch.randn(12, 3)), torch.nn.Parameter(torch.randn(3, 5))
    held = type("Held", (), {"readers": lambda self: {"x": reader}, "writers": lambda self: {"x": writer}})()
    protection = Protection(held, {"x": torch.zeros(5, 1)}, {"x": softened(moment, 0.1, 12)})
    writer.grad, reader.grad = torch.randn(12, 3), torch.zeros(3, 5)
    before = writer.detach().clone()
    protection.before_step()
    torch.optim.SGD([writer], lr=0.1).step()
    protection.after_step()
    step, plain = writer.detach() - before, -0.1 * writer.grad
    assert step.norm().item() == pytest.approx(plain.norm().item(), rel=1e-5)

    def cost(change: torch.Tensor) -> float:
        return (change.T @ moment @ change).trace().item()

    assert cost(step) < 0.2 * cost(plain)
    exact = torch.linalg.inv(torch.eye(12) + moment / moment.diagonal().mean() / 0.1) @ plain
    torch.testing.assert_close(step, exact * (plain.norm() / exact.norm()), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "settings", [{"output_softness": 0.1}, {"protection": "hard", "output_energy": 0.9}], ids=["soft", "hard"]
)
@pytest.mark.parametrize("shape", SHAPES[:4], ids=lambda shape: shape.name)
def test_gora_writes_elsewhere_and_measures_once(settings, shape, monkeypatch) -> None:
    plain = {name: value for name, value in settings.items() if name == "protection"}
    found = []
    for own in (plain, settings):
        update = solve(shape.build(), tokenizer(), FACTS[:1], GoRAHyperParams(**SETTINGS, **own))
        found.append(torch.cat([delta.matrix().flatten() for delta in update.deltas.values()]))
    assert torch.nn.functional.cosine_similarity(*found, dim=0) < 0.999
    monkeypatch.setattr(output_moments, "measure", lambda *args, **more: pytest.fail("measured again"))
    again = solve(shape.build(), tokenizer(), FACTS[:1], GoRAHyperParams(**SETTINGS, **settings))
    assert torch.equal(found[1], torch.cat([delta.matrix().flatten() for delta in again.deltas.values()]))


def test_it_is_measured_on_a_packed_model_too() -> None:
    """Gradients by what a projection writes need no weight of it; FastGate stands beside its MLP."""
    model = packed_llama(4)
    for hparams in (
        GoRAHyperParams(**SETTINGS, output_softness=0.1),
        FastGateHyperParams(mom2_dataset="factworld", dynamic_multiplier=2, v_num_grad_steps=3),
    ):
        update = solve(model, tokenizer(), FACTS[:1], hparams)
        assert all(delta.norm() > 0 for delta in update.deltas.values())


def test_what_has_no_matrix_that_writes_is_refused() -> None:
    model = SHAPES[0].build()
    adapter = DecomposedAdapter(model, ModelAnatomy(model).match(["mlp.out"]), rank=2, alpha=2, dropout=0.0)
    with pytest.raises(HyperParamsError, match="has no matrix that writes"):
        adapter.writers()
