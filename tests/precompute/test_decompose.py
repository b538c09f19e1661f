"""Weights and their singular values."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.errors import SpectrumError
from easyedit_ice.precompute.decompose import decompose

SHAPES = pytest.mark.parametrize("shape", [(6, 9), (9, 6), (7, 7), (1, 5)], ids=str)


def _weight(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _decaying(out=60, width=80):
    """A weight whose singular values fall quickly."""
    left, right = (torch.linalg.qr(_weight((size, 60), seed)).Q for seed, size in ((1, out), (2, width)))
    return (left[:, :60] * 0.8 ** torch.arange(60)) @ right[:, :60].T


@SHAPES
def test_the_factors_make_the_weight(shape):
    weight = _weight(shape)
    found = decompose(weight)
    torch.testing.assert_close((found.left * found.values) @ found.right.T, weight, atol=1e-5, rtol=1e-5)
    assert found.error < 1e-6
    assert found.rank == min(shape)


@SHAPES
def test_directions_are_orthonormal_and_values_fall(shape):
    found = decompose(_weight(shape))
    for directions in (found.left, found.right):
        torch.testing.assert_close(directions.T @ directions, torch.eye(found.rank), atol=1e-5, rtol=0)
    assert (found.values[:-1] >= found.values[1:]).all()
    assert (found.values >= 0).all()


def test_the_error_is_what_the_values_left_out_weigh():
    weight = _weight((12, 9))
    found = decompose(weight, rank=4)
    values = torch.linalg.svdvals(weight)
    assert found.rank == 4
    assert found.error == pytest.approx((values[4:].norm() / values.norm()).item(), rel=1e-4)


def test_the_randomised_decomposition_is_as_good_where_values_fall():
    weight = _decaying()
    exact, randomised = decompose(weight, rank=12), decompose(weight, "randomised", rank=12)
    torch.testing.assert_close(randomised.values, exact.values, rtol=1e-4, atol=1e-5)
    assert randomised.error == pytest.approx(exact.error, rel=1e-3)


def test_the_randomised_decomposition_says_how_far_it_is_off():
    weight = _weight((60, 80))
    found = decompose(weight, "randomised", rank=12)
    lost = (weight - (found.left * found.values) @ found.right.T).norm() / weight.norm()
    assert found.error == pytest.approx(lost.item(), rel=1e-5)
    assert found.error > 0.5


def test_the_randomised_decomposition_repeats_and_draws_from_nobodys_numbers():
    state = torch.random.get_rng_state()
    one, other = (decompose(_decaying(), "randomised", rank=5) for _ in range(2))
    assert torch.equal(one.left, other.left)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_weight_in_bf16_is_decomposed_in_fp32():
    weight = _weight((6, 9)).bfloat16()
    found = decompose(weight)
    assert found.left.dtype == found.values.dtype == found.right.dtype == torch.float32
    torch.testing.assert_close((found.left * found.values) @ found.right.T, weight.float(), atol=1e-5, rtol=1e-5)


def test_a_weight_of_zeros_has_no_error():
    assert decompose(torch.zeros(3, 4)).error == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_refused(bad):
    weight = _weight((3, 4))
    weight[1, 2] = bad
    with pytest.raises(SpectrumError, match=r"\(3, 4\).*infinite or not numbers"):
        decompose(weight)
