"""Changes of single matrices."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.deltas import Delta, DenseDelta, LowRankDelta
from easyedit_ice.errors import UpdateError


def _low_rank(seed: int = 0, rank: int = 2) -> LowRankDelta:
    generator = torch.Generator().manual_seed(seed)
    return LowRankDelta(torch.randn(rank, 6, generator=generator), torch.randn(4, rank, generator=generator))


def _dense(seed: int = 1) -> DenseDelta:
    return DenseDelta(torch.randn(4, 6, generator=torch.Generator().manual_seed(seed)))


KINDS = pytest.mark.parametrize("delta", [_low_rank(), _dense()], ids=["low rank", "dense"])


@KINDS
def test_applying_a_delta_multiplies_by_its_matrix(delta):
    inputs = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(delta.apply(inputs), inputs @ delta.matrix().T)


@KINDS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_applying_keeps_the_inputs_dtype_and_computes_in_fp32(delta, dtype):
    inputs = torch.randn(3, 6, generator=torch.Generator().manual_seed(2)).to(dtype)
    applied = delta.apply(inputs)
    assert applied.dtype == dtype
    torch.testing.assert_close(applied, (inputs.float() @ delta.matrix().T).to(dtype))


@KINDS
def test_scaling_scales_the_matrix_and_leaves_the_original(delta):
    before = delta.matrix().clone()
    torch.testing.assert_close(delta.scaled(-2.5).matrix(), -2.5 * before)
    assert torch.equal(delta.matrix(), before)


@KINDS
def test_the_norm_is_frobenius(delta):
    assert delta.norm() == pytest.approx(torch.linalg.matrix_norm(delta.matrix()).item(), rel=1e-5)


@KINDS
def test_the_shape_is_out_by_in(delta):
    assert delta.shape == (4, 6) == tuple(delta.matrix().shape)


@KINDS
def test_a_delta_is_rebuilt_from_its_tensors(delta):
    assert torch.equal(Delta.load(delta.kind, delta.tensors()).matrix(), delta.matrix())


@pytest.mark.parametrize(
    ("one", "other"), [(_low_rank(), _low_rank(2, rank=3)), (_low_rank(), _dense()), (_dense(), _low_rank())]
)
def test_sums_are_sums_of_matrices(one, other):
    torch.testing.assert_close(one.plus(other).matrix(), one.matrix() + other.matrix())


def test_a_sum_of_low_rank_deltas_stays_low_rank():
    assert _low_rank().plus(_low_rank(2, rank=3)).rank == 5


def test_deltas_of_different_shapes_do_not_add():
    with pytest.raises(UpdateError, match=r"\(4, 6\) and \(6, 4\)"):
        _dense().plus(DenseDelta(torch.zeros(6, 4)))


@pytest.mark.parametrize(("a", "b"), [((2, 6), (4, 3)), ((6,), (4, 2)), ((2, 6), (4, 2, 1))])
def test_factors_that_do_not_fit_are_refused(a, b):
    with pytest.raises(UpdateError, match="do not make a low-rank delta"):
        LowRankDelta(torch.zeros(a), torch.zeros(b))


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(UpdateError, match=r"'sparse'.*low_rank, dense"):
        Delta.load("sparse", {})
