"""Changes of single matrices."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from easyedit_ice.edit.delta import Delta, DenseDelta, LowRankDelta, SpectralDelta, spectral_change
from easyedit_ice.errors import UpdateError
from easyedit_ice.precompute.decompose import decompose


def _low_rank(seed: int = 0, rank: int = 2) -> LowRankDelta:
    generator = torch.Generator().manual_seed(seed)
    return LowRankDelta(torch.randn(rank, 6, generator=generator), torch.randn(4, rank, generator=generator))


def _dense(seed: int = 1) -> DenseDelta:
    return DenseDelta(torch.randn(4, 6, generator=torch.Generator().manual_seed(seed)))


def _spectral(seed: int = 3, elements: int = 7) -> SpectralDelta:
    """Elements at random places, in the basis of one and the same weight."""
    spectrum = decompose(torch.randn(4, 6, generator=torch.Generator().manual_seed(9)))
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.randint(4, (2, elements), generator=generator)
    values = torch.randn(elements, generator=generator)
    return SpectralDelta(spectrum.left, spectrum.values, spectrum.right, rows, columns, values)


KINDS = pytest.mark.parametrize("delta", [_low_rank(), _dense(), _spectral()], ids=["low rank", "dense", "spectral"])


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


def _spectral_parts():
    basis = {"left": torch.eye(4, 2), "scales": torch.ones(2), "right": torch.eye(3, 2)}
    return basis | {"rows": torch.tensor([0]), "columns": torch.tensor([1]), "values": torch.ones(1)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_low_rank(), _low_rank(2, rank=3)),
        (_low_rank(), _dense()),
        (_dense(), _low_rank()),
        (_spectral(), _spectral(4, elements=3)),
        (_spectral(), _low_rank()),
        (_low_rank(), _spectral()),
    ],
)
def test_sums_are_sums_of_matrices(one, other):
    torch.testing.assert_close(one.plus(other).matrix(), one.matrix() + other.matrix())


def test_a_sum_of_low_rank_deltas_stays_low_rank():
    assert _low_rank().plus(_low_rank(2, rank=3)).rank == 5


def test_a_sum_of_changes_of_one_weights_singular_values_stays_as_small():
    one, other = _spectral(elements=3), _spectral(4, elements=30)
    both = one.plus(other)
    assert isinstance(both, SpectralDelta)
    assert len(both.values) <= 4 * 4
    assert both.left is one.left


def test_changes_of_different_weights_singular_values_become_dense():
    other = SpectralDelta(
        torch.eye(4), torch.ones(4), torch.eye(6)[:, :4], *torch.arange(4).repeat(2, 1), torch.ones(4)
    )
    total = _spectral().plus(other)
    assert isinstance(total, DenseDelta)
    torch.testing.assert_close(total.matrix(), _spectral().matrix() + torch.eye(4, 6))


def test_a_diagonal_of_delta_scales_singular_values_by_one_plus_delta():
    weight = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    spectrum = decompose(weight)
    values = torch.tensor([0.5, -1.0, 0.25])
    delta = SpectralDelta(spectrum.left, spectrum.values, spectrum.right, *torch.arange(3).repeat(2, 1), values)
    torch.testing.assert_close(
        torch.linalg.svdvals(weight + delta.matrix()),
        (spectrum.values * (1 + values)).sort(descending=True).values,
        atol=1e-5,
        rtol=1e-5,
    )


def test_elements_of_one_place_add_up():
    delta = _spectral()
    twice = replace(delta, rows=delta.rows[:1].repeat(2), columns=delta.columns[:1].repeat(2), values=torch.ones(2))
    once = replace(twice, rows=twice.rows[:1], columns=twice.columns[:1], values=torch.tensor([2.0]))
    torch.testing.assert_close(twice.matrix(), once.matrix())
    torch.testing.assert_close(twice.apply(torch.eye(6)), once.apply(torch.eye(6)))


def test_each_row_may_have_elements_of_its_own():
    delta = _spectral()
    inputs = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(2))
    values = torch.randn(3, 7, generator=torch.Generator().manual_seed(3))
    own = [replace(delta, values=row).apply(one) for row, one in zip(values, inputs, strict=True)]
    torch.testing.assert_close(spectral_change(inputs, delta, values), torch.stack(own))


@pytest.mark.parametrize("change", [{"left": torch.zeros(4, 3)}, {"right": torch.zeros(6)}, {"values": torch.zeros(2)}])
def test_a_basis_and_elements_that_do_not_fit_are_refused(change):
    with pytest.raises(UpdateError, match="do not"):
        replace(_spectral(), **change)


def test_deltas_of_different_shapes_do_not_add():
    with pytest.raises(UpdateError, match=r"\(4, 6\) and \(6, 4\)"):
        _dense().plus(DenseDelta(torch.zeros(6, 4)))


@pytest.mark.parametrize(("a", "b"), [((2, 6), (4, 3)), ((6,), (4, 2)), ((2, 6), (4, 2, 1))])
def test_factors_that_do_not_fit_are_refused(a, b):
    with pytest.raises(UpdateError, match="do not make a low-rank delta"):
        LowRankDelta(torch.zeros(a), torch.zeros(b))


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(UpdateError, match=r"'sparse'.*low_rank, spectral, dense"):
        Delta.load("sparse", {})


@pytest.mark.parametrize(
    ("kind", "tensors"),
    [
        ([], {}),
        ({}, {}),
        (None, {}),
        ("low_rank", {"a": torch.ones(2, 3, dtype=torch.int32), "b": torch.ones(4, 2)}),
        ("low_rank", {"a": torch.tensor(1.0), "b": torch.ones(4, 2)}),
        ("dense", {"values": torch.ones(3)}),
        ("dense", {"values": torch.tensor(1.0)}),
        ("spectral", _spectral_parts() | {"rows": torch.tensor([0.0])}),
        ("spectral", _spectral_parts() | {"rows": torch.tensor([2])}),
        ("spectral", _spectral_parts() | {"columns": torch.tensor([-1])}),
    ],
)
def test_tensors_that_no_delta_has_are_refused(kind, tensors):
    with pytest.raises(UpdateError):
        Delta.load(kind, tensors)
