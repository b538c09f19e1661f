"""From a list of facts to an edited model, for every algorithm alike."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from quick import QUICK_EDITS
from toy_algorithms import ToyHyperParams, toy_spec
from transformers import AutoModelForCausalLM

from easyedit_ice.edit.apply import apply_to_model, prepare, solve, solve_with
from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.edit.plain_statements import MEASURED, movement, said, statements
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import (
    AnatomyError,
    DriftError,
    HyperParamsError,
    LoadingError,
    PromptTooLongError,
    RequestError,
    SubjectNotFoundError,
    UnknownAlgorithmError,
    UpdateError,
)
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer


def add_one(model, tok, requests, hparams):
    """Add as many to the last MLP output as there are facts."""
    projection = ModelAnatomy(model).match(["mlp.out"], [-1])[0]
    ones = torch.ones(projection.out_features, projection.in_features)
    model.train()
    tok.padding_side = "right"
    return WeightUpdate({projection.name: DenseDelta(ones * len(requests))}, {"facts": requests})


def add_not_a_number(model, tok, requests, hparams):
    """Ruin the last MLP output."""
    update = add_one(model, tok, requests, hparams)
    return update.scaled(float("nan"))


def add_too_much(model, tok, requests, hparams):
    """Ruin the last MLP output by finite numbers."""
    return add_one(model, tok, requests, hparams).scaled(1e37)


def add_multiple(model, tok, requests, hparams):
    """Add the last MLP's weight to itself, as many thousandths of it as the seed says."""
    projection = ModelAnatomy(model).match(["mlp.out"], [-1])[0]
    return WeightUpdate({projection.name: DenseDelta(projection.matrix() * hparams.seed / 1000)})


def move(model, tok, requests, hparams):
    """Move the last MLP output as no norm takes out again."""
    update = add_one(model, tok, requests, hparams)
    for delta in update.deltas.values():
        delta.values[::2] = 0.0
    return update


TOY, MOVING = toy_spec(add_one), toy_spec(move)
NAME = "transformer.h.1.mlp.c_proj.weight"


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


@pytest.mark.parametrize("odd", [None, {"model": "gpt2"}])
def test_what_is_no_model_tokenizer_or_settings_is_named(odd, model):
    with pytest.raises(AnatomyError, match=f"the model is of type {type(odd).__name__}; expected a causal"):
        solve_with(TOY, odd, tokenizer(), FACTS, ToyHyperParams())
    with pytest.raises(LoadingError, match=f"the tokenizer is of type {type(odd).__name__}; expected the model's own"):
        solve_with(TOY, model, odd, FACTS, ToyHyperParams())
    with pytest.raises(HyperParamsError, match=f"hparams is of type {type(odd).__name__}; expected settings"):
        solve(model, tokenizer(), FACTS, odd)


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
    needy = toy_spec(add_one, needs_subject=True)
    fact = {"prompt": "The capital is", "target_new": "Lodel"}
    with pytest.raises(SubjectNotFoundError):
        solve_with(needy, model, tokenizer(), [fact], ToyHyperParams())
    solve_with(TOY, model, tokenizer(), [fact], ToyHyperParams())


def test_an_update_tells_how_far_it_moves_plain_statements(model):
    update = solve_with(MOVING, model, tokenizer(), FACTS, ToyHyperParams())
    rows = statements(model, tokenizer(), MEASURED)
    before = said(model, rows)
    update.commit(model)
    assert update.info["drift"] == pytest.approx(asdict(movement(model, rows, before)), rel=1e-4)
    assert update.info["drift"]["kl"] > 1e-3


def test_a_model_in_training_mode_is_measured_as_it_will_be_used(model):
    expected = solve_with(MOVING, model, tokenizer(), FACTS, ToyHyperParams()).info["drift"]
    state = torch.get_rng_state()
    model.train()
    assert solve_with(MOVING, model, tokenizer(), FACTS, ToyHyperParams()).info["drift"] == expected
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_an_edit_that_moves_more_than_warn_drift_is_warned_of_with_the_figure_and_what_to_do(model, caplog):
    update = solve_with(MOVING, model, tokenizer(), FACTS, ToyHyperParams(warn_drift=1e-3))
    (record,) = caplog.records
    assert f"{update.info['drift']['kl']:.3g} nats per token" in record.message
    assert "warn_drift is 0.001" in record.message
    assert ToyHyperParams.gentler in record.message


@pytest.mark.parametrize("bound", [1e9, None])
def test_an_edit_within_its_bounds_or_without_any_is_not_warned_of(model, caplog, bound):
    solve_with(MOVING, model, tokenizer(), FACTS, ToyHyperParams(warn_drift=bound, max_drift=bound))
    assert not caplog.records


def test_an_edit_that_moves_more_than_max_drift_is_refused_and_the_model_keeps_every_bit(model):
    before = state(model)
    with pytest.raises(DriftError, match=r"nats per token.*max_drift allows 0.001: choose gentler settings"):
        apply_to_model(MOVING, model, tokenizer(), FACTS, ToyHyperParams(max_drift=1e-3))
    assert state(model) == before


@pytest.mark.parametrize(
    ("ruin", "error", "words"),
    [
        (add_not_a_number, UpdateError, "c_proj.weight: the change has elements that are infinite or not numbers"),
        (add_too_much, DriftError, "by nan nats"),
    ],
)
def test_an_edit_that_makes_a_model_write_nonsense_is_refused(model, ruin, error, words):
    before = state(model)
    with pytest.raises(error, match=words):
        solve_with(toy_spec(ruin), model, tokenizer(), FACTS, ToyHyperParams(max_drift=1e9))
    assert state(model) == before


@pytest.mark.parametrize("factor", [1e-3, 10.0])
def test_an_edit_says_how_large_it_is_beside_the_weight(model, factor):
    projection = ModelAnatomy(model).match(["mlp.out"], [-1])[0]
    weight = projection.matrix()
    spec = toy_spec(add_multiple)
    info = solve_with(spec, model, tokenizer(), FACTS, ToyHyperParams(seed=int(factor * 1000))).info
    assert info["size"] == pytest.approx(factor, rel=1e-4)
    said = f"the change of {projection.name} is 10 times as large as the weight itself"
    assert info.get("oversized") == (said if factor > 1 else None)
    assert torch.equal(projection.matrix(), weight)


def test_an_interrupted_measurement_leaves_the_model_as_it_was(model, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("easyedit_ice.edit.apply.movement", interrupt)
    before = state(model)
    with pytest.raises(KeyboardInterrupt):
        solve_with(MOVING, model, tokenizer(), FACTS, ToyHyperParams())
    assert state(model) == before


def test_an_edit_about_every_statement_cannot_be_measured_and_is_made(model, caplog):
    everything = [
        {"prompt": "Avaria has a", "subject": "a", "target_new": "harbour"},
        {"prompt": "The river is", "subject": "i", "target_new": "long"},
    ]
    update = solve_with(MOVING, model, tokenizer(), everything, ToyHyperParams())
    assert update.info["drift"] is None
    assert not caplog.records
    solve_with(MOVING, model, tokenizer(), everything, ToyHyperParams(max_drift=0.1))
    assert "max_drift is 0.1, and there is no plain statement" in caplog.text


@pytest.mark.parametrize("name", ["LoRA-BF", "SVF"])
def test_a_context_shorter_than_the_statements_is_measured_as_far_as_it_goes(name):
    shape = SHAPES[0]
    config = shape.config(len(tokenizer()))
    config.n_positions = 12
    with torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_config(config).eval()
    update = solve(model, tokenizer(), FACTS[:1], ALGORITHMS[name].hparams_class(num_steps=2))
    assert update.info["drift"]["kl"] > 0
    assert update.info["course"]["lr"] > 0


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_what_is_done_once_for_a_model_may_be_done_before_and_changes_no_bit_of_the_edit(name):
    hparams = ALGORITHMS[name].hparams_class.from_dict(QUICK_EDITS.get(name, {}))
    at_once, before = SHAPES[0].build(), SHAPES[0].build()
    expected = solve(at_once, tokenizer(), FACTS[:1], hparams)

    prepare(before, tokenizer(), FACTS[:1], hparams)
    assert all(torch.equal(value, before.state_dict()[key]) for key, value in at_once.state_dict().items())
    found = solve(before, tokenizer(), FACTS[:1], hparams)

    assert found.deltas.keys() == expected.deltas.keys()
    assert all(torch.equal(delta.matrix(), found.deltas[key].matrix()) for key, delta in expected.deltas.items())


def test_nothing_is_done_for_facts_that_cannot_be_edited():
    hparams = ALGORITHMS["FastMEMIT"].hparams_class.from_dict(QUICK_EDITS["FastMEMIT"])
    model = SHAPES[0].build()
    model.register_forward_pre_hook(lambda module, args: pytest.fail("the model was run"))
    with pytest.raises(RequestError, match="target_new"):
        prepare(model, tokenizer(), [{**FACTS[0], "target_new": " "}], hparams)
