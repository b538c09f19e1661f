"""Weights that change by their singular values."""

from __future__ import annotations

import pytest
import torch
from packed import packed_llama

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.editors.gradient.adapters import SpectralAdapter, places_of
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.editors.gradient.weight_gradients import weight_gradients
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute.decompose import decompose
from easyedit_ice.precompute.weight_spectra import spectra
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import predict

IDS = torch.tensor([[5, 6, 7, 8, 9]])
FP32 = pytest.mark.parametrize("shape", SHAPES[:4:2], ids=[shape.name for shape in SHAPES[:4:2]])
FORMS = pytest.mark.parametrize("form", ["diagonal", "banded"])
QUICK = {"num_steps": 15, "lr": 0.5, "stop_nll": None, "target_modules": ["all"]}
"""For tiny random weights: their singular values are small, and have to grow many times."""


def _adapted(model, form="diagonal", count=2, patterns=("all",), normalised=False):
    own = ModelAnatomy(model).match(patterns)
    found = spectra(model, own)
    places = {name: places_of(spectrum, form, count) for name, spectrum in found.items()}
    return SpectralAdapter(model, own, spectra=found, places=places, sum_normalised=normalised)


def _fill(adapter, scale=0.3):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)


@FP32
def test_a_diagonal_scales_the_singular_values(shape):
    model = shape.build()
    weights = {p.name: p.matrix() for p in ModelAnatomy(model).match(["all"])}
    adapter = _adapted(model)
    _fill(adapter)
    for name, delta in adapter.deltas().items():
        left, values, right = torch.linalg.svd(weights[name], full_matrices=False)
        scaled = (left * (values * (1 + delta.values))) @ right
        torch.testing.assert_close(weights[name] + delta.matrix(), scaled, atol=1e-5, rtol=1e-4)


@FP32
def test_there_is_one_number_for_each_singular_value(shape):
    model = shape.build()
    own = ModelAnatomy(model).match(["all"])
    adapter = _adapted(model)
    assert adapter.report()["trained"] == sum(min(p.in_features, p.out_features) for p in own)


@FP32
@FORMS
def test_gradients_are_those_of_the_dense_weight_along_the_factors(shape, form):
    """∂L/∂D = S^½ Uᵀ (∂L/∂W) V S^½, at D's places."""
    model = shape.build()
    request = EditRequest.prepare(FACTS)[0]
    row = fact_row(tokenizer(), request, True)
    own = ModelAnatomy(model).match(["all"])
    dense = weight_gradients(model, own, [row], side_by_side=1)
    found = spectra(model, own)
    adapter = _adapted(model, form)
    predict(model, [row]).nll().mean().backward()
    for projection, parameter in zip(own, adapter.parameters(), strict=True):
        spectrum = found[projection.name]
        roots = spectrum.values.sqrt()
        whole = roots[:, None] * (spectrum.left.T @ dense[projection.name] @ spectrum.right) * roots
        torch.testing.assert_close(parameter.grad, whole[places_of(spectrum, form, 2)], atol=1e-5, rtol=1e-3)


@FP32
@FORMS
def test_the_sum_of_singular_values_stays_where_it_is_normalised(shape, form):
    model = shape.build()
    own = ModelAnatomy(model).match(["all"])
    found = spectra(model, own)
    adapter = _adapted(model, form, normalised=True)
    _fill(adapter)
    for name, delta in adapter.deltas().items():
        assert delta.middle().trace().item() == pytest.approx(0, abs=1e-4 * found[name].values.sum().item())


def test_scaling_all_singular_values_alike_does_nothing_where_their_sum_is_kept():
    model = SHAPES[0].build()
    adapter = _adapted(model, normalised=True)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.fill_(0.7)
    assert all(delta.norm() < 1e-5 for delta in adapter.deltas().values())


def test_bands_lie_beside_the_diagonal():
    rows, columns = places_of(decompose(torch.randn(6, 9)), "banded", 2)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (row, column) for row in range(6) for column in range(6) if abs(row - column) <= 2
    ]


def test_more_bands_than_there_are_make_every_place():
    rows, _ = places_of(decompose(torch.randn(4, 9)), "banded", 99)
    assert len(rows) == 16


def test_the_top_places_are_those_of_the_greatest_gradient():
    weight = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    spectrum = decompose(weight)
    wanted = torch.zeros(6, 6)
    wanted[1, 4], wanted[3, 0], wanted[2, 2] = 5.0, -7.0, 100.0
    gradient = spectrum.left @ wanted @ spectrum.right.T / spectrum.values.mean()
    rows, columns = places_of(spectrum, "top", 2, gradient)
    assert torch.equal(rows[:6], torch.arange(6))
    assert torch.equal(columns[:6], torch.arange(6))
    assert {(1, 4), (3, 0)} == set(zip(rows[6:].tolist(), columns[6:].tolist(), strict=True))


@FP32
@pytest.mark.parametrize("form", ["diagonal", "banded", "top"])
@pytest.mark.parametrize("optimizer", [{}, {"optimizer": "sgd", "lr": 50.0, "momentum": 0.0}], ids=["adamw", "sgd"])
def test_every_form_learns_the_target(shape, form, optimizer):
    model = shape.build()
    update = solve(model, tokenizer(), FACTS[:1], SVFHyperParams(**QUICK | optimizer, spectral_form=form))
    losses = [epoch["target"] for epoch in update.info["course"]["losses"]]
    assert losses[-1] < losses[0] - 0.1


def test_more_elements_fit_better_for_the_same_steps():
    fitted = {}
    for form, count in (("diagonal", 1), ("banded", 1), ("banded", 6)):
        model = SHAPES[0].build()
        hparams = SVFHyperParams(**QUICK | {"lr": 5e-2}, spectral_form=form, off_diagonals=count)
        fitted[form, count] = solve(model, tokenizer(), FACTS[:1], hparams).info["course"]["losses"][-1]["target"]
    assert fitted["diagonal", 1] > fitted["banded", 1] > fitted["banded", 6]


@pytest.mark.parametrize("bits", [4, 8])
def test_packed_weights_keep_their_bytes_and_learn_beside(bits):
    model = packed_llama(bits)
    update = solve(model, tokenizer(), FACTS[:1], SVFHyperParams(**QUICK))
    losses = [epoch["target"] for epoch in update.info["course"]["losses"]]
    assert losses[-1] < losses[0]


def test_the_greatest_singular_values_alone_may_be_scaled():
    model = SHAPES[0].build()
    hparams = SVFHyperParams(**QUICK, svd="randomised", svd_rank=3)
    update = solve(model, tokenizer(), FACTS[:1], hparams)
    assert {len(delta.values) for delta in update.deltas.values()} == {3}


def test_it_reads_along_every_direction_so_that_protection_is_refused():
    with pytest.raises(HyperParamsError, match="lora, adalora or dense"):
        _adapted(SHAPES[0].build()).readers()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protection": "soft"}, "no setting 'protection'"),
        ({"svd": "randomised"}, "needs svd_rank: set how many"),
        ({"spectral_form": "bands"}, "spectral_form is 'bands'"),
        ({"init": "keys"}, "no setting 'init'"),
    ],
)
def test_settings_that_do_not_go_with_it_are_refused_at_once(changes, words):
    with pytest.raises(HyperParamsError, match=words):
        SVFHyperParams(**changes)
