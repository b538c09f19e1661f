"""Later edits know of those that are in the model, and of no others."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from packed import packed_llama

from easyedit_ice.edit.apply import apply_to_model, solve
from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

HPARAMS = GoRAHyperParams(num_steps=2, rank=2)
SOME = pytest.mark.parametrize("shape", SHAPES[:4], ids=[shape.name for shape in SHAPES[:4]])


def _solved(model, fact=0):
    return solve(model, tokenizer(), [FACTS[fact]], HPARAMS)


@SOME
def test_an_edit_is_known_while_it_is_in_the_model(shape):
    model = shape.build()
    first, second = _solved(model), _solved(model, 1)
    assert edits_in(model) == ()
    first.commit(model)
    second.commit(model)
    assert edits_in(model) == (first.keys, second.keys)
    second.revert(model)
    assert edits_in(model) == (first.keys,)
    first.revert(model)
    assert edits_in(model) == ()


def test_looking_at_the_originals_does_not_make_an_edit_forgotten():
    model = SHAPES[0].build()
    update = _solved(model)
    originals = update.commit(model)
    shapes = {name: tuple(tensor.shape) for name, tensor in originals.items()}
    assert shapes == {name: tuple(model.get_parameter(name).shape) for name in shapes}
    assert edits_in(model) == (update.keys,)
    originals.restore(model)
    assert edits_in(model) == ()


def test_of_two_edits_with_the_same_keys_only_the_one_taken_out_is_forgotten():
    model = SHAPES[0].build()
    update = _solved(model)
    half = update.scaled(0.5)
    update.commit(model)
    half.commit(model)
    half.revert(model)
    assert edits_in(model) == (update.keys,)


def test_an_edit_beside_packed_weights_is_known_and_forgotten():
    model = packed_llama(4)
    update = _solved(model)
    update.commit(model)
    assert edits_in(model) == (update.keys,)
    update.revert(model)
    assert edits_in(model) == ()


def test_a_copy_of_the_model_knows_what_the_model_knows_and_keeps_its_own_counsel():
    model = SHAPES[0].build()
    first = _solved(model)
    first.commit(model)
    copied, _ = apply_to_model(ALGORITHMS["GoRA"], model, tokenizer(), [FACTS[1]], HPARAMS, copy=True)
    assert len(edits_in(copied)) == 2
    assert edits_in(model) == (first.keys,)


def test_a_saved_edit_brings_its_keys_back(tmp_path):
    model = SHAPES[0].build()
    update = _solved(model)
    update.save(tmp_path)
    loaded = WeightUpdate.load(tmp_path)
    assert loaded.keys.keys() == update.keys.keys() == update.deltas.keys()
    assert all(torch.equal(loaded.keys[name], update.keys[name]) for name in update.keys)
    loaded.commit(model)
    assert edits_in(model) == (loaded.keys,)


def test_a_sum_of_edits_has_the_keys_of_all():
    model = SHAPES[0].build()
    first, second = _solved(model), _solved(model, 1)
    both = first + second
    for name, keys in both.keys.items():
        assert torch.equal(keys, torch.cat([first.keys[name], second.keys[name]]))
    assert (first.scaled(0.5)).keys is first.keys


def test_edits_without_keys_leave_nothing_to_know():
    model = SHAPES[0].build()
    solve(model, tokenizer(), [FACTS[0]], HPARAMS.replace(protection="none")).commit(model)
    assert edits_in(model) == ()


def test_a_model_that_is_dropped_is_not_held():
    model = SHAPES[0].build()
    update = _solved(model)
    update.commit(model)
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
