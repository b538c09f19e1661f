"""Experts mixed into one update."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from made_experts import FP32, expert

from easyedit_ice.edit.delta import SpectralDelta
from easyedit_ice.errors import ExpertError
from easyedit_ice.experts import mixed, modules_of

FIRST, SECOND = "transformer.h.0.mlp.c_proj", "transformer.h.1.mlp.c_proj"


@pytest.fixture(scope="module")
def model():
    return FP32[0].build()


@pytest.fixture(scope="module")
def experts(model):
    return [expert(model, "one", 1), expert(model, "two", 2, form="diagonal"), expert(model, "three", 3)]


def _matrix(own, model, path):
    return own.update(model).deltas[path].matrix()


def test_a_mixture_is_the_weighted_sum_and_stays_spectral(model, experts):
    alphas = (0.5, -1.0, 2.0)
    found = mixed(experts, alphas, model)
    for path, delta in found.deltas.items():
        expected = sum(alpha * _matrix(own, model, path) for alpha, own in zip(alphas, experts, strict=True))
        torch.testing.assert_close(delta.matrix(), expected, atol=1e-5, rtol=1e-4)
        assert isinstance(delta, SpectralDelta)
    assert found.info["experts"] == ["one", "two", "three"]


def test_each_projection_may_have_alphas_of_its_own(model, experts):
    found = mixed(experts[:2], torch.tensor([[1.0, 0.0], [0.0, 3.0]]), model)
    torch.testing.assert_close(found.deltas[FIRST].matrix(), _matrix(experts[0], model, FIRST))
    torch.testing.assert_close(found.deltas[SECOND].matrix(), 3 * _matrix(experts[1], model, SECOND))


def test_alphas_by_name_leave_the_others_out(model, experts):
    named = mixed(experts, {"two": 0.5, "three": {SECOND: 2.0}}, model)
    listed = mixed(experts, torch.tensor([[0.0, 0.0], [0.5, 0.5], [0.0, 2.0]]), model)
    for path in named.deltas:
        assert torch.equal(named.deltas[path].matrix(), listed.deltas[path].matrix())


def test_experts_may_change_different_projections(model):
    narrow = expert(model, "narrow", 1, patterns=("h.0.mlp.c_proj",))
    wide = expert(model, "wide", 2, patterns=("all",))
    found = mixed([narrow, wide], [1.0, 1.0], model)
    assert set(found.deltas) == set(modules_of([narrow, wide])) == set(wide.modules)
    torch.testing.assert_close(found.deltas[SECOND].matrix(), _matrix(wide, model, SECOND))


@pytest.mark.parametrize(
    ("alphas", "why"),
    [
        ([1.0], r"shape \(1, 2\)"),
        (torch.zeros(3, 3), r"shape \(3, 3\)"),
        ({"four": 1.0}, "no expert 'four'; there are one, two, three"),
        ({"one": {"lm_head": 1.0}}, "no projection 'lm_head'"),
        ([1.0, float("nan"), 0.0], "expected finite numbers"),
    ],
)
def test_alphas_that_do_not_fit_are_refused(model, experts, alphas, why):
    with pytest.raises(ExpertError, match=why):
        mixed(experts, alphas, model)


def test_experts_that_cannot_be_told_apart_or_added_are_refused(model, experts):
    with pytest.raises(ExpertError, match="one: several experts have this name"):
        mixed([experts[0], experts[0]], [1, 1], model)
    with pytest.raises(ExpertError, match="different decompositions"):
        mixed([experts[0], replace(experts[1], svd="randomised", svd_rank=4)], [1, 1], model)
    with pytest.raises(ExpertError, match="no experts"):
        mixed([], [], model)


def test_an_expert_of_another_model_is_refused(experts):
    other = FP32[0].build()
    with torch.no_grad():
        other.transformer.h[1].mlp.c_proj.weight.mul_(1.01)
    with pytest.raises(ExpertError, match="was trained on weights"):
        mixed(experts, [1, 1, 1], other)
