"""What an update must not read or write stays out of it, and a stream still ends as its batch."""

from __future__ import annotations

import pytest
import torch
from quick import CLOSED_FORM

from easyedit_ice.edit.apply import solve
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams
from easyedit_ice.editors.closed_form.open_directions import DirectionSettings, Open, opened
from easyedit_ice.editors.closed_form.solver import solve_update
from easyedit_ice.editors.closed_form.solver_settings import factors_of, measuring_of
from easyedit_ice.errors import AnatomyError, StatisticsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute.factors import factored, identity_factor
from easyedit_ice.precompute.moments import moments
from easyedit_ice.testing.shrinking import tiny_decoder
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

D, OUT = 24, 10
DRAWS = torch.Generator().manual_seed(0)


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=DRAWS)


def _basis(width: int, rank: int) -> torch.Tensor:
    return torch.linalg.qr(_random(width, rank).double())[0]


def test_a_null_space_with_a_ridge_is_alphaedits_equation() -> None:
    basis, keys, earlier, residuals = _basis(D, 15), _random(4, D), _random(6, D), _random(4, OUT)
    ours = solve_update(identity_factor(D, 10.0).within(basis), keys, residuals, 1.0, earlier).matrix().double()
    projector, k, past = basis @ basis.T, keys.double().T, earlier.double().T
    theirs = torch.linalg.solve(
        projector @ (k @ k.T + past @ past.T) + 10 * torch.eye(D, dtype=torch.float64),
        projector @ k @ residuals.double(),
    )
    torch.testing.assert_close(ours, theirs.T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [5, 40])
def test_nothing_is_read_besides_the_basis_however_many_keys_there_are(count: int) -> None:
    basis, rows = _basis(D, 15), _random(200, D).double()
    factor = factored(rows.T @ rows / 200, weight=1.0, ridge=0.0, name="x", tokens=200).within(basis)
    delta = solve_update(factor, _random(count, D), _random(count, OUT), 1.0, _random(30, D)).matrix().double()
    torch.testing.assert_close(delta @ basis @ basis.T, delta, rtol=1e-5, atol=1e-6)
    assert delta.norm() > 0.1


@pytest.mark.parametrize("sizes", [[1] * 12, [5, 7]])
def test_a_stream_that_may_not_read_and_write_everything_still_ends_as_one_batch(sizes: list[int]) -> None:
    rows, keys, targets = _random(200, D).double(), _random(12, D), _random(12, OUT)
    factor = factored(rows.T @ rows / 200, weight=1.0, ridge=0.0, name="x", tokens=200).within(_basis(D, 15))
    own = Open(factor, _basis(OUT, 3).float())
    batch = solve_update(factor, keys, own.writable(targets), 1.0).matrix().double()
    streamed = torch.zeros_like(batch)
    for start, count in zip(torch.tensor((0, *sizes)).cumsum(0).tolist(), sizes, strict=False):
        part = slice(start, start + count)
        lacking = own.writable(targets[part] - keys[part] @ streamed.T.float())
        earlier = keys[:start] if start else None
        streamed += solve_update(factor, keys[part], lacking, 1.0, earlier).matrix().double()
    torch.testing.assert_close(streamed, batch, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES[:4], ids=lambda shape: shape.name)
def test_an_edit_leaves_what_general_keys_read_and_the_weights_leading_directions_alone(shape) -> None:
    model, tok = shape.build(), tokenizer()
    hparams = FastMEMITHyperParams(**CLOSED_FORM, null_space=1.0, spared_energy=0.3, dynamic_multiplier=4)
    ((name, delta),) = solve(model, tok, list(FACTS[:2]), hparams).deltas.items()
    energies, directions = torch.linalg.eigh(moments(model, tok, [name], measuring_of(hparams))[name][0])
    leading = directions[:, energies >= energies.mean()].float()
    left, _, right = torch.linalg.svd(ModelAnatomy(model).projection(name).matrix().float())
    change, whole = delta.matrix(), delta.matrix().norm()
    assert whole > 0
    assert 0 < leading.shape[1] < len(leading)
    assert (change @ leading).norm() < 1e-4 * whole
    assert (change @ right[0]).norm() < 1e-4 * whole
    assert (left[:, 0] @ change).norm() < 1e-4 * whole


def test_directions_are_found_once_and_again_where_settings_change() -> None:
    model, tok = SHAPES[0].build(), tokenizer()
    hparams = FastMEMITHyperParams(**CLOSED_FORM)
    factors, measuring = factors_of(model, tok, hparams), measuring_of(hparams)

    def basis(share: float) -> torch.Tensor | None:
        (own,) = opened(model, tok, factors, measuring, DirectionSettings(spared_energy=share)).values()
        return own.factor.basis

    assert basis(0.0) is None
    assert basis(0.5) is basis(0.5)
    assert basis(0.1).shape[1] > basis(0.5).shape[1]


def test_where_no_direction_is_left_an_error_says_what_to_change() -> None:
    model, tok = SHAPES[0].build(), tokenizer()
    hparams = FastMEMITHyperParams(**CLOSED_FORM, null_space=1e-12)
    with pytest.raises(StatisticsError, match=r"no direction of the \d+ inputs.*raise null_space"):
        solve(model, tok, list(FACTS[:1]), hparams)


def test_fused_experts_are_refused() -> None:
    hparams = FastMEMITHyperParams(layers=[1], spared_energy=0.5, mom2_adjustment=False)
    with pytest.raises(AnatomyError, match=r"experts in one weight.*leave them out"):
        solve(tiny_decoder("mixtral"), tokenizer(), list(FACTS[:1]), hparams)
