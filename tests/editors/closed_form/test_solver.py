"""One solver for MEMIT, EMMET and ROME."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from easyedit_ice.editors.closed_form.solver import readers, solve_update, weight_for, written_by
from easyedit_ice.errors import StatisticsError
from easyedit_ice.precompute.factors import factored, identity_factor

D, OUT = 24, 10
WEIGHT, RIDGE = 3.0, 0.1


def _problem(facts: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    general, keys, residuals = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((400, D), (facts, D), (facts, OUT))
    )
    return general.T @ general / 400, keys, residuals


def _factor(moment: torch.Tensor, ridge: float = RIDGE) -> object:
    return factored(moment, weight=WEIGHT, ridge=ridge, name="mlp", tokens=400)


@pytest.mark.parametrize("facts", [1, 5, D, 3 * D])
def test_alpha_1_is_memits_equation(facts: int) -> None:
    moment, keys, residuals = _problem(facts)
    dense = residuals.T @ keys @ torch.linalg.inv(WEIGHT * moment + RIDGE * torch.eye(D) + keys.T @ keys)
    found = solve_update(_factor(moment), keys, residuals, 1.0).matrix().double()
    torch.testing.assert_close(found, dense, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.1, 7.0])
def test_any_alpha_is_emmets_equation(alpha: float) -> None:
    moment, keys, residuals = _problem(6)
    inverse = torch.linalg.inv(WEIGHT * moment + RIDGE * torch.eye(D))
    dense = residuals.T @ torch.linalg.inv(keys @ inverse @ keys.T + alpha * torch.eye(6)) @ keys @ inverse
    found = solve_update(_factor(moment), keys, residuals, alpha).matrix().double()
    torch.testing.assert_close(found, dense, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("facts", "kept", "alpha"), [(3, 9 * D, 1.0), (3, 9 * D, 0.0), (4 * D, 9 * D, 0.1), (2 * D, 0, 2.0)]
)
def test_many_rows_are_solved_as_few_are_without_all_of_their_pairs(facts: int, kept: int, alpha: float) -> None:
    moment, keys, _ = _problem(facts)
    others, shares = _problem(kept, seed=1)[1], torch.rand(kept, dtype=torch.float64) + 0.5
    inverse = torch.linalg.inv(2.0 * (WEIGHT * moment + RIDGE * torch.eye(D)) + others.T @ (shares[:, None] * others))
    dense = torch.linalg.inv(keys @ inverse @ keys.T + alpha * torch.eye(facts)) @ keys @ inverse
    with _largest_product() as seen:
        found = readers(_factor(moment), keys, alpha, others, 2.0, shares)
    torch.testing.assert_close(found.double(), dense, rtol=1e-5, atol=1e-6)
    assert seen[0] <= D**2


@contextmanager
def _largest_product() -> Iterator[list[int]]:
    """Elements of the largest matrix that is factored within the block."""
    seen, usual = [0], torch.linalg.cholesky_ex

    def noted(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen[0] = max(seen[0], matrix.numel())
        return usual(matrix)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.linalg, "cholesky_ex", noted)
        yield seen


def test_alpha_0_and_one_fact_is_romes_equation() -> None:
    moment, keys, residuals = _problem(1)
    direction = torch.linalg.inv(WEIGHT * moment + RIDGE * torch.eye(D)) @ keys[0]
    dense = torch.outer(residuals[0], direction) / (keys[0] @ direction)
    found = solve_update(_factor(moment), keys, residuals, 0.0).matrix().double()
    torch.testing.assert_close(found, dense, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("facts", [1, 5, D])
def test_alpha_0_fits_every_value(facts: int) -> None:
    moment, keys, residuals = _problem(facts)
    delta = solve_update(_factor(moment), keys, residuals, 0.0)
    torch.testing.assert_close(keys @ delta.matrix().double().T, residuals, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("facts", [1, 5, OUT, D, 3 * D])
def test_the_rank_is_no_more_than_the_facts_or_the_matrix(facts: int) -> None:
    moment, keys, residuals = _problem(facts)
    delta = solve_update(_factor(moment), keys, residuals, 1.0)
    assert delta.rank <= min(facts, D) if facts <= OUT else delta.rank == OUT
    assert delta.shape == (OUT, D)
    assert delta.a.dtype == delta.b.dtype == torch.float32


def test_more_weight_of_general_keys_disturbs_them_less_and_fits_less() -> None:
    moment, keys, residuals = _problem(8)
    disturbed, missed = [], []
    for weight in (1.0, 10.0, 100.0):
        factor = factored(moment, weight=weight, ridge=0.0, name="mlp", tokens=400)
        matrix = solve_update(factor, keys, residuals, 1.0).matrix().double()
        disturbed.append(torch.trace(matrix @ moment @ matrix.T).item())
        missed.append((keys @ matrix.T - residuals).norm().item())
    assert disturbed == sorted(disturbed, reverse=True)
    assert missed == sorted(missed)


def test_without_second_moments_all_directions_weigh_alike() -> None:
    _, keys, residuals = _problem(4)
    found = solve_update(identity_factor(D, WEIGHT), keys, residuals, 1.0).matrix().double()
    dense = residuals.T @ keys @ torch.linalg.inv(WEIGHT * torch.eye(D) + keys.T @ keys)
    torch.testing.assert_close(found, dense, rtol=1e-5, atol=1e-6)


def test_equal_keys_cannot_be_fitted_exactly() -> None:
    moment, keys, residuals = _problem(2)
    keys[1] = keys[0]
    with pytest.raises(StatisticsError, match=r"depend on each other.*emmet_lambda"):
        solve_update(_factor(moment), keys, residuals, 0.0)
    delta = solve_update(_factor(moment), keys, residuals, 0.1)
    assert delta.matrix().isfinite().all()


def test_keys_that_are_kept_are_those_of_facts_that_lack_nothing():
    """MEMIT of all facts, of which the earlier are as they shall be, in closed form; at the rank of the new ones."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(60, 12, generator=generator, dtype=torch.float64)
    moment = rows.T @ rows / 60
    keys, kept = (torch.randn(n, 12, generator=generator, dtype=torch.float64) for n in (2, 20))
    residuals = torch.randn(2, 7, generator=generator, dtype=torch.float64)
    factor = factored(moment, weight=3.0, ridge=0.0, name="x", tokens=60)
    delta = solve_update(factor, keys.float(), residuals.float(), 1.0, kept.float())
    inverse = torch.linalg.inv(3.0 * moment + kept.T @ kept + keys.T @ keys)
    torch.testing.assert_close(delta.matrix().double(), residuals.T @ keys @ inverse, rtol=1e-4, atol=1e-5)
    assert delta.rank == 2
    alone = solve_update(factor, keys.float(), residuals.float(), 1.0)
    assert delta.apply(kept.float()).norm() < 0.5 * alone.apply(kept.float()).norm()


def test_a_fact_is_fitted_exactly_beside_kept_keys_that_depend_on_each_other():
    generator = torch.Generator().manual_seed(4)
    keys = torch.randn(1, 6, generator=generator)
    kept = torch.randn(3, 6, generator=generator).repeat(5, 1)
    residuals = torch.randn(1, 4, generator=generator)
    delta = solve_update(identity_factor(6, 1.0), keys, residuals, 0.0, kept)
    torch.testing.assert_close(delta.apply(keys), residuals, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("facts", [2, 7])
def test_a_weight_that_nothing_can_be_weighed_against_is_named_with_what_to_lower(facts: int) -> None:
    keys = torch.randn(facts, 6, generator=torch.Generator().manual_seed(0))
    kept = keys[:2].repeat(2, 1)
    with pytest.raises(StatisticsError, match=r"lower kept_weight or neighbour_weight"):
        solve_update(identity_factor(6, 1e-30), keys, torch.randn(facts, 4), 1e-30, kept, kept_weight=1e30)


def test_a_kept_key_of_weight_3_counts_as_if_it_stood_there_three_times() -> None:
    moment, keys, _ = _problem(6)
    factor = _factor(moment)
    weighed = readers(factor, keys[:2], 1.0, keys[2:], kept_weight=3.0)
    thrice = readers(factor, keys[:2], 1.0, keys[2:].repeat(3, 1))
    torch.testing.assert_close(weighed, thrice, rtol=1e-4, atol=1e-6)


def test_what_is_written_is_linear_in_the_residuals() -> None:
    moment, keys, residuals = _problem(4)
    found = solve_update(_factor(moment), keys, residuals, 1.0).matrix()
    reading = readers(_factor(moment), keys, 1.0)
    torch.testing.assert_close(written_by(reading, 2 * residuals).matrix(), 2 * found)


@pytest.mark.parametrize("sizes", [[1] * 12, [5, 7]])
def test_a_stream_whose_edits_keep_those_before_them_ends_as_one_batch(sizes: list[int]) -> None:
    moment, keys, targets = _problem(12)
    factor = _factor(moment)
    batch = solve_update(factor, keys, targets, 1.0).matrix().double()
    streamed = torch.zeros_like(batch)
    for start, count in zip(torch.tensor((0, *sizes)).cumsum(0).tolist(), sizes, strict=False):
        own = keys[start : start + count]
        lacking = targets[start : start + count] - own @ streamed.T
        streamed += solve_update(factor, own, lacking, 1.0, keys[:start] if start else None).matrix().double()
    torch.testing.assert_close(streamed, batch, rtol=1e-5, atol=1e-5)


def test_facts_that_share_a_key_get_the_mean_of_their_values() -> None:
    moment, keys, residuals = _problem(4)
    keys[1] = keys[0]
    factor = _factor(moment)
    weight = weight_for(factor, keys, residuals, 0.99)
    written = keys @ solve_update(factor, keys, residuals, 1.0, weight=weight).matrix().double().T
    wanted = torch.cat([residuals[:2].mean(0).expand(2, -1), residuals[2:]])
    assert (written - wanted).norm() <= 0.02 * wanted.norm()


def test_the_weight_of_many_facts_writes_the_share_of_what_can_be_written() -> None:
    moment, keys, residuals = _problem(3 * D)
    reachable = keys @ torch.linalg.lstsq(keys, residuals).solution
    weight = weight_for(_factor(moment), keys, residuals, 0.99)
    written = keys @ solve_update(_factor(moment), keys, residuals, 1.0, weight=weight).matrix().double().T
    assert (written - reachable).norm() == pytest.approx(0.01 * reachable.norm().item(), rel=0.02)
