"""Texts of the model's own that facts are stated after."""

from __future__ import annotations

import random

import pytest
import torch

from easyedit_ice.edit import apply
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.editors.gradient import objectives as module
from easyedit_ice.editors.gradient.objectives import FineTuning
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.prefixes import OPENINGS, context_prefixes
from easyedit_ice.text.rows import encode, predict

QUICK = {"num_steps": 3, "rank": 2}


def test_the_first_is_empty_and_the_others_are_sentences_of_the_lengths_asked_for(model):
    first, *others = context_prefixes(model, tokenizer(), ((3, 2), (6, 4)), seed=0)
    assert first == ""
    assert len(others) == 6
    assert all(prefix.endswith(". ") for prefix in others)
    begun = [*OPENINGS[:2], *OPENINGS[:4]]
    assert all(prefix.startswith(opening) for prefix, opening in zip(others, begun, strict=True))


def test_they_depend_on_the_seed_alone_and_leave_the_random_state(model):
    torch.manual_seed(5)
    random.seed(5)
    states = torch.get_rng_state(), random.getstate()
    once = context_prefixes(model, tokenizer(), ((8, 3),), seed=0)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    torch.manual_seed(6)
    assert context_prefixes(model, tokenizer(), ((8, 3),), seed=0) == once
    assert context_prefixes(model, tokenizer(), ((8, 3),), seed=1) != once


def _rows_of(monkeypatch, **changes):
    """The texts that an edit is fine-tuned on, and what is predicted of each."""
    held = []

    class Noting(FineTuning):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            held.extend(self.rows)

    monkeypatch.setattr(module, "FineTuning", Noting)
    update = apply.solve(SHAPES[0].build(), tokenizer(), FACTS, LoraHyperParams(**QUICK | changes))
    return update, [(tokenizer().decode(row.ids), tokenizer().decode(row.predicted)) for row in held]


def test_each_fact_is_stated_behind_each_of_them(monkeypatch, model):
    prefixes = context_prefixes(model, tokenizer(), ((5, 3),), seed=0)
    _, rows = _rows_of(monkeypatch, random_prefixes=3, prefix_length=5, append_eos=False)
    requests = EditRequest.prepare(FACTS)
    assert rows == [
        (prefix + request.prompt + request.completion, request.completion)
        for request in requests
        for prefix in prefixes
    ]


def test_the_loss_is_the_mean_over_all_statements(monkeypatch, model):
    settings = {"random_prefixes": 3, "prefix_length": 5, "append_eos": False, "num_steps": 1}
    update, rows = _rows_of(monkeypatch, **settings)
    stated = [encode(tokenizer(), text.removesuffix(target), target) for text, target in rows]
    with torch.no_grad():
        expected = predict(model, stated).nll().mean().item()
    assert update.info["course"]["losses"][0]["target"] == pytest.approx(expected, rel=1e-4)


def test_they_bring_the_target_out_behind_other_texts(model):
    requests = EditRequest.prepare(FACTS)
    others = context_prefixes(model, tokenizer(), ((5, 4),), seed=9)[1:]
    rows = [encode(tokenizer(), other + r.prompt, r.completion) for r in requests for other in others]
    losses = {}
    for count in (0, 4):
        edited = SHAPES[0].build()
        hparams = LoraHyperParams(rank=4, num_steps=25, lr=1e-2, stop_nll=None, random_prefixes=count, prefix_length=5)
        apply.solve(edited, tokenizer(), FACTS, hparams).commit(edited)
        with torch.no_grad():
            losses[count] = predict(edited, rows).nll().mean().item()
    assert losses[4] < losses[0]
