"""From a list of facts to an edited model, for every algorithm alike."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.apply import apply_to_model, solve, solve_with
from easyedit_ice.deltas import DenseDelta
from easyedit_ice.errors import HyperParamsError, PromptTooLongError, SubjectNotFoundError, UnknownAlgorithmError
from easyedit_ice.hparams import EditHyperParams, setting
from easyedit_ice.registry import ALGORITHMS, AlgorithmSpec
from easyedit_ice.requests import EditRequest
from easyedit_ice.testing.models import FACTS, SHAPES, tokenizer
from easyedit_ice.updates import WeightUpdate


@dataclass
class ToyHyperParams(EditHyperParams):
    """Settings of the toy algorithm."""

    alg_name: str = setting("Toy", "name")


def add_one(model, tok, requests, hparams):
    """Add as many to the last MLP output as there are facts."""
    projection = ModelAnatomy(model).match(["mlp.out"], [-1])[0]
    ones = torch.ones(projection.out_features, projection.in_features)
    model.train()
    tok.padding_side = "right"
    return WeightUpdate({projection.name: DenseDelta(ones * len(requests))}, {"facts": requests})


TOY = AlgorithmSpec(name="Toy", hparams=f"{__name__}:ToyHyperParams", solve=f"{__name__}:add_one")
NAME = "transformer.h.1.mlp.c_proj.weight"


@pytest.fixture
def model():
    return SHAPES[0].build()


def _written(model: torch.nn.Module) -> float:
    return (model.get_parameter(NAME) - SHAPES[0].build().get_parameter(NAME)).mean().item()


def test_the_model_is_edited_in_place_and_returned(model):
    edited, originals = apply_to_model(TOY, model, tokenizer(), list(FACTS[:2]), ToyHyperParams())
    assert edited is model
    assert _written(model) == pytest.approx(2)
    assert originals == {}


def test_originals_are_returned_on_request_and_restore_the_model(model):
    _, originals = apply_to_model(TOY, model, tokenizer(), FACTS, ToyHyperParams(), return_orig_weights=True)
    assert set(originals) == {NAME}
    originals.restore(model)
    assert _written(model) == 0


def test_a_copy_is_edited_on_request(model):
    edited, originals = apply_to_model(
        TOY, model, tokenizer(), FACTS, ToyHyperParams(), copy=True, return_orig_weights=True
    )
    assert edited is not model
    assert (_written(model), _written(edited)) == (0, pytest.approx(3))
    assert set(originals) == {NAME}


@pytest.mark.parametrize("keep", [False, True])
def test_what_easyedit_passes_to_every_algorithm_is_accepted(model, keep):
    apply_to_model(TOY, model, tokenizer(), FACTS, ToyHyperParams(), keep_original_weight=keep, train_ds=None, extra=1)
    assert _written(model) == pytest.approx(3)


def test_solving_leaves_model_and_tokenizer_as_they_were(model):
    tok = tokenizer()
    solve_with(TOY, model, tok, FACTS, ToyHyperParams())
    assert _written(model) == 0
    assert not model.training
    assert tok.padding_side == "left"


def test_the_algorithm_gets_validated_requests(model):
    update = solve_with(TOY, model, tokenizer(), FACTS, ToyHyperParams())
    assert update.info["facts"] == EditRequest.prepare(FACTS)


def test_the_name_in_the_settings_chooses_the_algorithm(model):
    ALGORITHMS.add(TOY)
    try:
        update = solve(model, tokenizer(), FACTS, ToyHyperParams())
    finally:
        ALGORITHMS.remove("Toy")
    assert list(update.deltas) == [NAME.removesuffix(".weight")]
    with pytest.raises(UnknownAlgorithmError, match="'Toy'"):
        solve(model, tokenizer(), FACTS, ToyHyperParams())


def test_settings_of_another_algorithm_are_refused(model):
    with pytest.raises(HyperParamsError, match="ICE-LoRA got ToyHyperParams; it needs IceLoraHyperParams"):
        solve_with(ALGORITHMS["ICE-LoRA"], model, tokenizer(), FACTS, ToyHyperParams())


def test_a_fact_that_does_not_fit_the_models_context_is_refused_before_solving(model):
    long = {"prompt": "word " * 200, "target_new": "end"}
    with pytest.raises(PromptTooLongError, match="context is 128") as caught:
        apply_to_model(TOY, model, tokenizer(), [FACTS[0], long], ToyHyperParams())
    assert caught.value.index == 1
    assert _written(model) == 0


def test_a_subject_is_asked_for_where_the_algorithm_needs_one(model):
    needy = AlgorithmSpec(name="Toy", hparams=TOY.hparams, solve=TOY.solve, needs_subject=True)
    fact = {"prompt": "The capital is", "target_new": "Lodel"}
    with pytest.raises(SubjectNotFoundError):
        solve_with(needy, model, tokenizer(), [fact], ToyHyperParams())
    solve_with(TOY, model, tokenizer(), [fact], ToyHyperParams())
