"""Fingerprints tell weights apart by their values."""

from __future__ import annotations

import time

import pytest
import torch

from easyedit_ice import solve
from easyedit_ice.edit.base_model import base_in, fingerprint_of
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.errors import UpdateError
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer


def test_equal_values_have_one_fingerprint_whatever_their_type():
    narrow = SHAPES[1].build()
    assert narrow.dtype == torch.bfloat16
    own = fingerprint_of(narrow)
    assert own == fingerprint_of(SHAPES[1].build().float()) == fingerprint_of(narrow)
    assert own != fingerprint_of(SHAPES[0].build())


@pytest.mark.parametrize(
    "write",
    [
        lambda weight: weight.add_(0.5),
        lambda weight: weight.data.add_(0.5),
        lambda weight: weight.view(-1)[0].neg_(),
        lambda weight: weight.copy_(weight.flip(0)),
    ],
    ids=["in place", "through .data, which autograd does not count", "a sign", "rows moved"],
)
def test_a_write_changes_it_and_undoing_that_brings_it_back(write):
    model = SHAPES[0].build()
    weight = model.transformer.h[1].mlp.c_fc.weight
    before, kept = fingerprint_of(model), weight.detach().clone()
    with torch.no_grad():
        write(weight)
        assert fingerprint_of(model) != before
        weight.copy_(kept)
    assert fingerprint_of(model) == before


def test_a_model_whose_weights_are_elsewhere_is_refused():
    with pytest.raises(UpdateError, match="not in memory"):
        fingerprint_of(SHAPES[0].build().to("meta"))


def test_an_update_says_which_weights_and_facts_it_was_made_on_and_for():
    model = SHAPES[0].build()
    update = solve(model, tokenizer(), FACTS[:1], GoRAHyperParams(num_steps=1, rank=1))
    assert base_in(update.info).fingerprint == fingerprint_of(model)
    assert base_in((update + update).info) == base_in(update.info)
    assert update.info["requests"][0]["subject"] == FACTS[0]["subject"]


def test_a_large_model_takes_little_time():
    large = torch.nn.Linear(8192, 8192)
    started = time.process_time()
    fingerprint_of(large)
    assert time.process_time() - started < 1
