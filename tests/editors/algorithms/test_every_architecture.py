"""The algorithms that train, FastICE, FastGrad and ICE-Grad, on the architectures users have."""

from __future__ import annotations

import pytest
import torch
from architectures import ARCHITECTURES, tiny
from quick import of

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, tokenizer
from easyedit_ice.text.rows import encode, predict

QUICK = {"num_steps": 3, "rank": 2, "lr": 2e-2, "mom2_dataset": "factworld"}
SETTINGS = {name: {"num_steps": 3, "mom2_dataset": "factworld"} for name in ("FastICE", "FastGrad", "ICE-Grad")}
TRAINED = ("LoRA-BF", "AdaLoRA", "DoRA", "GoRA", "LocFT-BF")
ROWS = [encode(tokenizer(), r.prompt, r.completion) for r in EditRequest.prepare(FACTS[:1])]
EACH = pytest.mark.parametrize("name", ARCHITECTURES)


@pytest.fixture(scope="module")
def model(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return tiny(request.param, vocab_size=len(tokenizer()))


@torch.no_grad()
def _loss(model):
    return predict(model, ROWS).nll().item()


@pytest.mark.parametrize("model", ARCHITECTURES, indirect=True)
@pytest.mark.parametrize("algorithm", (*TRAINED, "FastICE", "FastGrad", "ICE-Grad"))
def test_a_fact_is_written_and_taken_out_to_the_bit(model, algorithm):
    before, loss = state(model), _loss(model)
    hparams = ALGORITHMS[algorithm].hparams_class(**of(algorithm, SETTINGS.get(algorithm, QUICK)))
    update = solve(model, tokenizer(), FACTS[:1], hparams)
    assert state(model) == before
    update.commit(model)
    assert _loss(model) < loss
    update.revert(model)
    assert state(model) == before


@EACH
def test_projections_are_chosen_by_what_they_do_or_by_the_architectures_names(name):
    model = tiny(name, vocab_size=len(tokenizer()))
    hparams = ALGORITHMS["LoRA-BF"].hparams_class(**of("LoRA-BF", QUICK | {"num_steps": 1}), layers=[-1])
    for kind, names in ARCHITECTURES[name][1].items():
        for asked in ([kind], sorted(names)):
            changed = solve(model, tokenizer(), FACTS[:1], hparams.replace(target_modules=asked)).deltas
            assert {key.partition(".2.")[2] for key in changed} == names


@EACH
def test_a_name_that_the_model_does_not_have_is_refused_with_those_it_has(name):
    model = tiny(name, vocab_size=len(tokenizer()))
    names = set().union(*ARCHITECTURES[name][1].values())
    assert {p.name.partition(".0.")[2] for p in ModelAnatomy(model).select(layers=[0])} == names
    for algorithm in TRAINED:
        hparams = ALGORITHMS[algorithm].hparams_class(**of(algorithm, QUICK), target_modules=["lm_haed"])
        with pytest.raises(AnatomyError, match="no projection matches 'lm_haed'") as caught:
            solve(model, tokenizer(), FACTS[:1], hparams)
        assert all(own in str(caught.value) for own in names)
