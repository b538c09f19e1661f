"""The shipped algorithms keep every promise, and every promise can be broken."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

import pytest
import torch
from quick import QUICK_EDITS
from torch import nn
from toy_algorithms import toy_spec

from easyedit_ice.edit import apply
from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.originals import OriginalWeights
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.gradient.objectives import fact_row
from easyedit_ice.errors import ConformanceError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.edit_state import state_of
from easyedit_ice.testing import check_algorithm, failures
from easyedit_ice.testing.promises import PROMISES
from easyedit_ice.testing.tiny_models import SHAPES
from easyedit_ice.text.rows import predict

UNLIKE = (SHAPES[0], SHAPES[3])
"""Conv1D in fp32 with tied embeddings, and Linear in bf16 without."""
CROSSED = (SHAPES[5], SHAPES[6])
"""Conv1D in bf16 without tied embeddings, and Linear in fp32 with them."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_algorithm_keeps_every_promise_on_each_form_of_weights(name):
    spec, settings = ALGORITHMS[name], QUICK_EDITS.get(name)
    of_weights = {words: check for words, check in PROMISES.items() if words not in OF_THE_COURSE}
    broken = [*failures(spec, settings, shapes=UNLIKE), *failures(spec, settings, shapes=CROSSED, promises=of_weights)]
    assert list(map(str, broken)) == []


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_algorithm_keeps_every_promise(name):
    check_algorithm(ALGORITHMS[name], QUICK_EDITS.get(name), host=False)


Solve = Callable[[nn.Module, object, tuple, EditHyperParams], WeightUpdate]


def gradient_step(model, tok, requests, hparams) -> WeightUpdate:
    """One step down the gradient of the last MLP output: the least that keeps all promises."""
    projection = ModelAnatomy(model).match(["mlp.out"], [-1])[0]
    weight = projection.module.weight
    loss = predict(model, [fact_row(tok, request, False) for request in requests]).nll().sum()
    (gradient,) = torch.autograd.grad(loss, weight)
    return WeightUpdate({projection.name: DenseDelta(-projection.as_stored(gradient.float()))})


def broken_by(solve: Solve, **changes) -> set[str]:
    """The promises that a toy breaks."""
    return {failure.promise for failure in failures(toy_spec(solve, **changes), shapes=SHAPES[:1])}


def _edited_weight(model):
    return ModelAnatomy(model).match(["mlp.out"], [-1])[0].module.weight


# --- toys that break promises ---------------------------------------------------------------------


def writes_weights(model, tok, requests, hparams):
    update = gradient_step(model, tok, requests, hparams)
    _edited_weight(model).data.add_(1)
    return update


def tidies_up_only_at_the_end(model, tok, requests, hparams):
    weight = _edited_weight(model)
    before = weight.detach().clone()
    weight.data.add_(1)
    update = gradient_step(model, tok, requests, hparams)
    weight.data.copy_(before)
    return update


def swallows_everything(model, tok, requests, hparams):
    try:
        return gradient_step(model, tok, requests, hparams)
    except BaseException:
        return WeightUpdate({})


def draws_from_the_global_state(model, tok, requests, hparams):
    random.random()
    return gradient_step(model, tok, requests, hparams)


def changes_nothing(model, tok, requests, hparams):
    return gradient_step(model, tok, requests, hparams).scaled(0)


def never_draws_the_same_twice(model, tok, requests, hparams):
    return gradient_step(model, tok, requests, hparams).scaled(1 + torch.rand(()).item())


CALLS = count(1)


def counts_its_calls(model, tok, requests, hparams):
    return gradient_step(model, tok, requests, hparams).scaled(next(CALLS))


class SubtractingUpdate(WeightUpdate):
    """Reverts by subtracting, which rounds."""

    def revert(self, model):
        state_of(model).commits.pop(self)
        self.scaled(-1).commit(model)


def reverts_by_subtracting(model, tok, requests, hparams):
    return SubtractingUpdate(gradient_step(model, tok, requests, hparams).deltas)


class ForgetfulUpdate(WeightUpdate):
    """Does not return the weights it wrote to."""

    def commit(self, model):
        super().commit(model)
        return OriginalWeights()


def forgets_the_originals(model, tok, requests, hparams):
    return ForgetfulUpdate(gradient_step(model, tok, requests, hparams).deltas)


class HookingUpdate(WeightUpdate):
    """Leaves a hook behind."""

    def commit(self, model):
        model.register_forward_hook(lambda module, args, output: output)
        return super().commit(model)


def hooks_the_model(model, tok, requests, hparams):
    return HookingUpdate(gradient_step(model, tok, requests, hparams).deltas)


class DoublingUpdate(WeightUpdate):
    """Makes the model double precision."""

    def commit(self, model):
        return super().commit(model.double())


def changes_the_dtype(model, tok, requests, hparams):
    return DoublingUpdate(gradient_step(model, tok, requests, hparams).deltas)


def takes_one_fact_only(model, tok, requests, hparams):
    (request,) = requests
    return gradient_step(model, tok, [request], hparams)


class RoundedDelta(DenseDelta):
    """Saves itself in half precision."""

    kind = "rounded, of a test"

    def tensors(self):
        return {"values": self.values.half().float()}


def saves_a_rounded_update(model, tok, requests, hparams):
    deltas = gradient_step(model, tok, requests, hparams).deltas
    return WeightUpdate({name: RoundedDelta(delta.matrix()) for name, delta in deltas.items()})


SOLVING = "solving leaves the model as it was"
EXCEPTION, INTERRUPT = "an exception leaves the model as it was", "an interrupt leaves the model as it was"
REVERTING, IN_ORDER = "reverting restores every bit", "reverting out of order is refused"
RETURNED = "the returned weights restore every bit"
SEEDED, SINGLE, TOGETHER = (
    "the same seed gives the same edit",
    "a batch of one equals a single edit",
    "several facts go together",
)
OF_THE_COURSE = {EXCEPTION, INTERRUPT, "the global random state is not touched", SEEDED, SINGLE}
"""Promises about how an edit is solved, whatever the weights' form; two forms show them."""
BREAKS = {
    # An edit that is solved on another model is another edit.
    writes_weights: {SOLVING, EXCEPTION, INTERRUPT, REVERTING, RETURNED, SEEDED, SINGLE, TOGETHER},
    tidies_up_only_at_the_end: {EXCEPTION, INTERRUPT},
    swallows_everything: {EXCEPTION, INTERRUPT},
    draws_from_the_global_state: {"the global random state is not touched"},
    changes_nothing: {"committing writes the fact", "copy leaves the given model intact", IN_ORDER},
    never_draws_the_same_twice: {SEEDED},
    counts_its_calls: {SEEDED, SINGLE},
    # An update is put in and taken out once while it is solved, to see how far it moves plain statements.
    reverts_by_subtracting: {SOLVING, EXCEPTION, INTERRUPT, REVERTING, IN_ORDER, RETURNED, SEEDED, SINGLE, TOGETHER},
    forgets_the_originals: {RETURNED},
    hooks_the_model: {REVERTING, RETURNED, TOGETHER},
    changes_the_dtype: {
        "dtype and device stay",
        SOLVING,
        EXCEPTION,
        INTERRUPT,
        REVERTING,
        RETURNED,
        SEEDED,
        SINGLE,
        TOGETHER,
    },
    takes_one_fact_only: {TOGETHER},
    saves_a_rounded_update: {"a saved update is the same update"},
}
BY_GENERIC_CODE = {"bad facts are refused and the model stays"}


@pytest.mark.parametrize("solve", BREAKS, ids=lambda solve: solve.__name__.replace("_", " "))
def test_a_promise_is_found_broken_where_an_algorithm(solve):
    assert broken_by(solve) == BREAKS[solve]


def test_bad_facts_are_found_accepted_where_nobody_checks_them(monkeypatch):
    monkeypatch.setattr(apply, "check_tokens", lambda *args, **kwargs: None)
    assert broken_by(gradient_step) == BY_GENERIC_CODE


def test_every_promise_is_shown_to_break():
    assert set().union(*BREAKS.values()) | BY_GENERIC_CODE == set(PROMISES)


# --- toys that break none -------------------------------------------------------------------------


def careless(model, tok, requests, hparams):
    """Tidies nothing up."""
    update = gradient_step(model, tok, requests, hparams)
    torch.manual_seed(3)
    model.train()
    model.requires_grad_(False)
    model.config.use_cache = False
    model.register_forward_hook(lambda module, args, output: output)
    model.extra = nn.Linear(2, 2)
    tok.padding_side = "right"
    return update


@pytest.mark.parametrize("solve", [gradient_step, careless], ids=lambda solve: solve.__name__.replace("_", " "))
def test_an_algorithm_that_changes_no_weights_keeps_all_promises_however_untidy(solve):
    assert broken_by(solve) == set()


def test_an_algorithm_for_single_facts_need_not_take_several():
    assert broken_by(takes_one_fact_only, batchable=False) == set()


def test_an_algorithm_that_needs_subjects_keeps_all_promises():
    assert broken_by(gradient_step, needs_subject=True) == set()


def test_the_error_lists_every_broken_promise_with_its_models_under_its_cause():
    with pytest.raises(ConformanceError) as caught:
        check_algorithm(toy_spec(changes_nothing), host=False)
    text = str(caught.value)
    assert text.startswith("Toy breaks 24 promises; 3 causes:")
    cause, promise = text.splitlines()[1:3]
    assert cause.startswith("* BrokenPromise: the target's loss went from")
    assert promise.strip() == f"committing writes the fact [{'; '.join(shape.name for shape in SHAPES)}]"
