"""What is protected: general text, and the keys of the edits that are in the model."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.history import remember
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.editors.gradient import neighbours as module
from easyedit_ice.editors.gradient.protection.fact_keys import text_keys
from easyedit_ice.editors.gradient.protection.projector import outside
from easyedit_ice.editors.gradient.protection.subspaces import (
    SLACK,
    Beside,
    SubspaceSettings,
    general_subspaces,
    subspaces,
)
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.rows import Row

HARD = SubspaceSettings("hard", softness=0.03, dynamic_multiplier=2)
SOFT = replace(HARD, protection="soft")
BOTH = pytest.mark.parametrize("protecting", [HARD, SOFT], ids=["hard", "soft"])
WIDTH = 24


def _moment(seed=0):
    rows = torch.randn(200, WIDTH, generator=torch.Generator().manual_seed(seed)) * torch.logspace(0, -2, WIDTH)
    return (rows.T @ rows / 200).double()


def _keys(count, seed=1):
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


def _left(factor):
    return torch.eye(WIDTH) - factor @ factor.T


def test_hard_protection_takes_the_fewest_leading_directions_that_hold_the_energy():
    moment = _moment()
    basis = replace(HARD, protected_rank=WIDTH).general(moment).double()
    energy = torch.linalg.eigvalsh(moment).flip(0)
    held = (basis.T @ moment @ basis).diagonal().sum() / energy.sum()
    assert held >= 0.9
    assert energy[: basis.shape[1] - 1].sum() / energy.sum() < 0.9
    torch.testing.assert_close(basis.T @ basis, torch.eye(basis.shape[1], dtype=basis.dtype), atol=1e-5, rtol=0)


def test_no_more_general_directions_are_protected_than_allowed():
    assert replace(HARD, protected_energy=1.0).general(_moment()).shape[1] == WIDTH // 4
    assert replace(HARD, protected_energy=1.0, protected_rank=3).general(_moment()).shape[1] == 3
    assert replace(SOFT, protected_rank=3).general(_moment()).shape[1] == 3


def test_soft_protection_is_the_inverse_of_what_is_used():
    """P = (I + C / α + Kᵀ K / β)⁻¹, with C and K in units of the mean of C's diagonal, edit after edit."""
    moment = _moment()
    scale = float(moment.diagonal().mean())
    inverse = torch.eye(WIDTH, dtype=torch.float64) + moment / scale / SOFT.softness
    factor = SOFT.general(moment)
    torch.testing.assert_close(_left(factor).double(), torch.linalg.inv(inverse), atol=1e-4, rtol=1e-3)
    for edit in range(20):
        keys = _keys(3, edit).double() * scale**0.5
        inverse += keys.T @ keys / scale / SOFT.memory_softness
        factor = SOFT.extended(factor, keys.float(), scale)
        assert factor.shape[1] <= SLACK * WIDTH
    torch.testing.assert_close(_left(factor).double(), torch.linalg.inv(inverse), atol=1e-4, rtol=1e-2)


def test_hundreds_of_edits_are_remembered_however_much_each_counts():
    """Rounding leaves a little less than nothing of directions that are used up; it must not stop the next edit."""
    strong = replace(SOFT, memory_softness=1e-7)
    factor, own = strong.general(_moment()), _keys(3)
    for edit in range(200):
        factor = strong.extended(factor, own + 1e-3 * _keys(3, edit), 1.0)
    assert factor.isfinite().all()
    assert (own @ _left(factor)).norm() < 1e-2 * own.norm()


def test_a_memory_that_is_full_of_directions_of_like_strength_takes_further_edits():
    """A singular value decomposition in fp32 does not converge on them."""
    width = 256
    draw = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(width, width, generator=draw)).Q
    energies = torch.logspace(0, -4, width)
    moment = (axes * energies) @ axes.T
    scale = float(moment.diagonal().mean())
    full = replace(SOFT, softness=0.001, memory_softness=0.1)
    factor = full.general(moment)
    for _ in range(600):
        like_text = torch.randn(4, width, generator=draw) @ (axes * energies.sqrt()).T
        keys = like_text + 0.3 * scale**0.5 * torch.randn(4, width, generator=draw)
        factor = full.extended(factor, keys, scale)
    left = torch.eye(width) - factor @ factor.T
    assert (keys @ left).norm() < 1e-2 * keys.norm()


def test_hard_protection_holds_the_keys_of_every_edit_and_stays_orthonormal():
    whole = replace(HARD, memory_energy=1.0, memory_rank=WIDTH)
    factor = whole.general(_moment())
    edits = [_keys(2, seed) for seed in range(5)]
    for keys in edits:
        factor = whole.extended(factor, keys, 1.0)
    for keys in edits:
        assert outside(keys, factor).norm() < 1e-4 * keys.norm()
    torch.testing.assert_close(factor.T @ factor, torch.eye(factor.shape[1]), atol=1e-5, rtol=0)


def test_of_an_edits_keys_as_much_is_protected_as_the_energy_asks_for():
    keys = torch.cat([_keys(1), 0.1 * _keys(1, 7)])
    assert HARD.extended(torch.zeros(WIDTH, 0), keys, 1.0).shape[1] == 1
    assert replace(HARD, memory_energy=1.0).extended(torch.zeros(WIDTH, 0), keys, 1.0).shape[1] == 2


def test_keys_that_are_protected_already_add_nothing_hard():
    keys = _keys(3)
    factor = replace(HARD, memory_energy=1.0).extended(torch.zeros(WIDTH, 0), keys, 1.0)
    assert torch.equal(replace(HARD, memory_energy=1.0).extended(factor, 0 * keys, 1.0), factor)


@pytest.mark.parametrize("count", [5, 3 * WIDTH])
def test_keys_of_one_solve_are_protected_by_a_softness_of_their_own(count):
    """P = (I + C / α + Nᵀ N / γ)⁻¹, whether there are fewer keys than inputs or more."""
    moment = _moment()
    scale = float(moment.diagonal().mean())
    keys = _keys(count).double() * scale**0.5
    inverse = torch.eye(WIDTH, dtype=torch.float64) + moment / scale / SOFT.softness + keys.T @ keys / scale / 0.2
    factor = SOFT.beside(SOFT.general(moment), keys.float(), scale, 0.2)
    torch.testing.assert_close(_left(factor).double(), torch.linalg.inv(inverse), atol=1e-4, rtol=1e-3)


def test_keys_of_one_solve_are_not_read_where_protection_is_hard():
    whole = replace(HARD, memory_energy=1.0)
    factor = whole.beside(whole.general(_moment()), _keys(3), 1.0, 1.0)
    assert outside(_keys(3), factor).norm() < 1e-4 * _keys(3).norm()


@BOTH
def test_what_one_solve_protects_is_not_remembered(protecting):
    model = SHAPES[0].build()
    projections = ModelAnatomy(model).match(["mlp.out"])
    remember(model, {p.name: torch.randn(2, p.in_features) for p in projections})
    beside = Beside({p.name: torch.randn(3, p.in_features) for p in projections}, 0.1)
    now = subspaces(model, tokenizer(), projections, protecting, beside)
    later = subspaces(model, tokenizer(), projections, protecting)
    for name, keys in beside.keys.items():
        assert outside(keys, now[name]).norm() < 0.7 * outside(keys, later[name]).norm()
        assert torch.equal(subspaces(model, tokenizer(), projections, protecting)[name], later[name])


@BOTH
def test_what_exceeds_the_memory_is_logged_and_not_kept(protecting, caplog):
    small = replace(protecting, memory_rank=6, memory_energy=1.0)
    factor = small.general(_moment())
    with caplog.at_level(logging.WARNING):
        for seed in range(6):
            factor = small.extended(factor, _keys(3, seed), 1.0)
    assert factor.shape[1] <= 6 * SLACK
    assert "memory_rank" in caplog.text


@BOTH
@pytest.mark.parametrize("shape", SHAPES[:4], ids=[shape.name for shape in SHAPES[:4]])
def test_general_text_is_measured_once_and_edits_add_to_it(protecting, shape):
    model = shape.build()
    projections = ModelAnatomy(model).match(["mlp.out"])
    names = [p.name for p in projections]
    general = general_subspaces(model, tokenizer(), names, protecting)
    alone = subspaces(model, tokenizer(), projections, protecting)
    assert all(torch.equal(alone[name], general[name][0]) for name in names)
    keys = {p.name: torch.randn(2, p.in_features) for p in projections}
    remember(model, keys)
    with torch.no_grad():
        projections[0].module.weight.add_(0.1)  # an edit changes weights, and general text stays what it was
    later = subspaces(model, tokenizer(), projections, protecting)
    for name in names:
        before, after = outside(keys[name], alone[name]).norm(), outside(keys[name], later[name]).norm()
        assert after < 0.7 * before


def test_an_edit_added_one_by_one_protects_as_when_all_are_added_at_once():
    def after(together):
        model = SHAPES[0].build()
        projections = ModelAnatomy(model).match(["mlp.out"])
        for seed in range(3):
            generator = torch.Generator().manual_seed(seed)
            remember(model, {p.name: torch.randn(2, p.in_features, generator=generator) for p in projections})
            if not together:
                subspaces(model, tokenizer(), projections, SOFT)
        return subspaces(model, tokenizer(), projections, SOFT)

    once, stepwise = after(together=True), after(together=False)
    for name, factor in once.items():
        torch.testing.assert_close(factor @ factor.T, stepwise[name] @ stepwise[name].T, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_a_later_edit_reads_less_of_an_earlier_ones_keys_than_an_unprotected_one(shape):
    def disturbance(protection):
        model = shape.build()
        settings = {"num_steps": 6, "rank": 4, "lr": 1e-2, "init": "zero", "layers": [-1], "softness": 0.03}
        hparams = GoRAHyperParams(protection=protection, neighbour_softness=None, **settings)
        first = solve(model, tokenizer(), [FACTS[0]], hparams.replace(protection="soft"))
        first.commit(model)
        second = solve(model, tokenizer(), [FACTS[1]], hparams)
        (name,) = second.deltas
        delta, keys = second.deltas[name], first.keys[name]
        return delta.apply(keys).norm() / delta.norm() / keys.norm()

    assert disturbance("soft") < 0.5 * disturbance("none")


@pytest.mark.parametrize("protection", ["soft", "hard"])
def test_the_facts_neighbours_are_read_less_where_the_settings_ask_for_it(protection, monkeypatch):
    rows = [
        Row(tuple(tokenizer().encode(text)), 1) for text in ("The capital of Sundray is Tarn", "The capital of Ommer")
    ]
    monkeypatch.setattr(module, "neighbour_texts", lambda *args, **kwargs: rows)

    def read(softness):
        model = SHAPES[0].build()
        settings = {"num_steps": 6, "rank": 4, "lr": 1e-2, "layers": [-1], "least_gradient": 0.0}
        hparams = GoRAHyperParams(protection=protection, **settings)
        update = solve(model, tokenizer(), [FACTS[0]], hparams.replace(neighbour_softness=softness))
        ((name, delta),) = update.deltas.items()
        keys = text_keys(model, rows, [name])[name]
        return delta.apply(keys).norm() / delta.norm() / keys.norm()

    assert read(1e-3) < 0.3 * read(None)


def test_a_fact_without_subject_has_no_neighbours_to_protect():
    fact = {"prompt": FACTS[0]["prompt"], "target_new": FACTS[0]["target_new"]}
    hparams = GoRAHyperParams(num_steps=2, rank=2, lr=1e-2)
    with_them, without = (
        solve(SHAPES[0].build(), tokenizer(), [fact], hparams.replace(neighbour_softness=softness))
        for softness in (0.1, None)
    )
    assert all(torch.equal(with_them.deltas[name].matrix(), own.matrix()) for name, own in without.deltas.items())


def test_the_share_of_the_gradient_that_is_kept_is_told():
    update = solve(SHAPES[0].build(), tokenizer(), [FACTS[0]], GoRAHyperParams(num_steps=2, rank=2))
    shares = update.info["adapter"]["gradient_kept"]
    assert shares.keys() == update.deltas.keys()
    assert all(0 < share < 1 for share in shares.values())
