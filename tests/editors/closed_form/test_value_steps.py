"""Steps by the odds of the target find shorter values in fewer evaluations, and each fact's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from easyedit_ice import factworld
from easyedit_ice.data import to_requests
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form.subject_rows import fact_rows
from easyedit_ice.editors.closed_form.value_search import Search, Values, find_values
from easyedit_ice.editors.closed_form.value_steps import AdamSteps, OddsSteps

PROJECTION = "transformer.h.2.mlp.c_proj"
SEARCH = Search(25, None, 0.0, 0.0625, 4.0, 0.05, None, "projection")


@pytest.fixture(scope="module")
def world():
    model, tok = factworld.load()
    requests = EditRequest.prepare(to_requests(factworld.records("dev")[:6]))
    return model, [fact_rows(tok, request, ("", "As it is said: ")) for request in requests]


def _found(world, which: slice = slice(None), **changes: object) -> Values:
    model, facts = world
    with torch.enable_grad():
        return find_values(model, facts[which], PROJECTION, replace(SEARCH, **changes))


def test_values_are_found_in_fewer_evaluations_than_adam_needs_and_are_shorter(world) -> None:
    odd, adam = _found(world), _found(world, lr=0.5)
    assert sum(odd.losses) < sum(adam.losses)
    assert 2 * sum(odd.steps) < sum(adam.steps)
    assert odd.delta.norm(dim=1).mean() < adam.delta.norm(dim=1).mean()


def test_a_value_does_not_depend_on_facts_that_are_sought_beside_it(world) -> None:
    together, alone = _found(world), _found(world, slice(2, 3))
    torch.testing.assert_close(together.delta[2:3], alone.delta, rtol=1e-3, atol=1e-4)
    assert together.steps[2] == alone.steps[0]


def test_where_no_value_is_found_the_best_that_was_tried_is_taken(world, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: OddsSteps, active: list[int], losses: torch.Tensor, gradients: torch.Tensor) -> None:
        for index, gradient in zip(active, gradients, strict=True):
            self._deltas[index].add_(gradient, alpha=10.0)

    monkeypatch.setattr(OddsSteps, "take", away)
    found = _found(world, num_grad_steps=3)
    assert found.steps == (3,) * 6
    assert found.delta.abs().max() == 0


def test_a_loss_of_zero_can_be_asked_for(world) -> None:
    found = _found(world, stop_loss=0.0, num_grad_steps=6)
    assert found.delta.isfinite().all()
    assert found.steps == (6,) * 6


def _odds_of(weights: torch.Tensor, offset: float, delta: torch.Tensor) -> torch.Tensor:
    """A loss of which the log-odds are weights · δ + offset."""
    return torch.nn.functional.softplus(-(weights @ delta + offset))


@pytest.mark.parametrize("offset", [-9.0, -1.0, 1.0])
def test_one_step_is_enough_where_odds_are_linear(offset: float) -> None:
    weights = torch.tensor([3.0, -1.0, 0.5, 2.0])
    delta = torch.zeros(4)
    steps = OddsSteps([delta], torch.full((1, 4), 1e3), 0.05)
    start = delta.clone().requires_grad_(True)
    loss = _odds_of(weights, offset, start)
    (gradient,) = torch.autograd.grad(loss, start)
    steps.take([0], loss.detach()[None], gradient[None])
    assert _odds_of(weights, offset, delta).item() == pytest.approx(0.025, rel=1e-3)
    assert torch.cosine_similarity(delta, weights, dim=0) == pytest.approx(1)


def test_a_step_reaches_half_of_what_was_written_and_half_as_far_when_the_loss_has_risen() -> None:
    delta = torch.zeros(2)
    steps = OddsSteps([delta], torch.tensor([[0.0, 4.0]]), 0.05)
    gradient = torch.tensor([[-1e-3, 0.0]])
    reached = []
    for loss in (3.0, 2.0, 2.5):
        before = delta.clone()
        steps.take([0], torch.tensor([loss]), gradient)
        reached.append((delta - before).norm().item())
    assert reached == pytest.approx([2, 2, 1])


def test_no_gradient_moves_nothing() -> None:
    delta = torch.zeros(2)
    OddsSteps([delta], torch.ones(1, 2), 0.05).take([0], torch.tensor([1.0]), torch.zeros(1, 2))
    assert delta.tolist() == [0, 0]


def test_adam_moves_those_that_are_still_sought() -> None:
    deltas = [torch.zeros(2), torch.zeros(2)]
    AdamSteps(deltas, 0.5).take([1], torch.tensor([1.0]), torch.tensor([[-2.0, 1e-3]]))
    assert deltas[0].tolist() == [0, 0]
    torch.testing.assert_close(deltas[1], torch.tensor([0.5, -0.5]), rtol=1e-3, atol=1e-3)


def test_the_cheapest_step_gets_as_far_at_less_than_the_shortest_costs() -> None:
    generator = torch.Generator().manual_seed(0)
    weights, root = torch.randn(16, generator=generator), torch.randn(16, 16, generator=generator)
    price = root @ root.T / 16 + 0.1 * torch.eye(16)
    costs, reached = [], []
    for cheapness in (None, torch.linalg.inv(price)):
        deltas = [torch.zeros(16, requires_grad=True)]
        loss = _odds_of(weights, -2.0, deltas[0])
        (gradient,) = torch.autograd.grad(loss, deltas[0])
        moved = [deltas[0].detach()]
        OddsSteps(moved, torch.full((1, 16), 1e3), 0.05, cheapness).take([0], loss.detach()[None], gradient[None])
        costs.append((moved[0] @ price @ moved[0]).item())
        reached.append((weights @ moved[0]).item())
    assert reached[1] == pytest.approx(reached[0], rel=1e-4)
    assert costs[1] < 0.7 * costs[0]


def test_no_step_is_longer_than_its_reach_in_any_metric() -> None:
    deltas = [torch.zeros(4)]
    cheapness = torch.diag(torch.tensor([100.0, 1.0, 1.0, 1.0]))
    wrote = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    OddsSteps(deltas, wrote, 0.02, cheapness).take([0], torch.tensor([9.0]), torch.full((1, 4), 1e-3))
    assert deltas[0].norm().item() == pytest.approx(0.5)
