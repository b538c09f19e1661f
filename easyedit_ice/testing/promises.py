"""What every algorithm promises; each promise is a function that raises if it is broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from easyedit_ice.easyedit.plugin.restoring import WeightsCopy
from easyedit_ice.edit.apply import apply_to_model
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import RequestError, UpdateError
from easyedit_ice.testing.cases import BrokenPromise, Case, coming_out, raising, require, state, unchanged
from easyedit_ice.testing.tiny_models import FACTS

PROMISES: dict[str, Callable[[Case], None]] = {}


def promise(check: Callable[[Case], None]) -> Callable[[Case], None]:
    """Add a check to :data:`PROMISES` under its own words."""
    PROMISES[check.__name__.replace("_", " ")] = check
    return check


@promise
def solving_leaves_the_model_as_it_was(case: Case) -> None:
    """Weights, modules, hooks, flags, modes, configuration and padding."""
    with unchanged(case):
        case.solve()


@promise
def an_exception_leaves_the_model_as_it_was(case: Case) -> None:
    """Wherever in the middle it strikes."""
    _interrupted(case, RuntimeError)


@promise
def an_interrupt_leaves_the_model_as_it_was(case: Case) -> None:
    """Ctrl-C, likewise."""
    _interrupted(case, KeyboardInterrupt)


@promise
def the_global_random_state_is_not_touched(case: Case) -> None:
    """Of Python, NumPy and torch."""
    import numpy as np

    def states() -> tuple[Any, list[int], list[int]]:
        numpy_state = np.random.get_state(legacy=False)["state"]["key"]
        return random.getstate(), numpy_state.tolist(), torch.get_rng_state().tolist()

    before = states()
    case.solve()
    after = states()
    require(before == after, "a global random state changed")


@promise
def committing_writes_the_fact(case: Case) -> None:
    """The target becomes more likely."""
    before = _target_nll(case)
    case.solve().commit(case.model)
    after = _target_nll(case)
    require(after < before, f"the target's loss went from {before:.3f} to {after:.3f} nats per token")


@promise
def reverting_restores_every_bit(case: Case) -> None:
    """After one edit and after two, taken out in the opposite order."""
    with unchanged(case):
        first = case.solve()
        first.commit(case.model)
        second = case.solve(FACTS[1])
        second.commit(case.model)
        second.revert(case.model)
        first.revert(case.model)


@promise
def reverting_out_of_order_is_refused(case: Case) -> None:
    """Where it would undo the later edit as well; what stands beside the weights leaves that one to the bit."""
    first = case.solve()
    first.commit(case.model)
    second = case.solve(FACTS[1])
    second.commit(case.model)
    try:
        first.revert(case.model)
    except UpdateError:
        return
    require(case.spec.beside, "an update was reverted from under a later one without an error")
    alone = case.twin()
    second.commit(alone.model)
    require(state(case.model) == state(alone.model), "what is left is not the later update alone")


@promise
def the_returned_weights_restore_every_bit(case: Case) -> None:
    """Copied back one by one, as EasyEdit does."""
    with unchanged(case):
        _, originals = _apply(case, return_orig_weights=True)
        with torch.no_grad():
            for name, value in WeightsCopy(case.model, originals).items():
                case.model.get_parameter(name)[...] = value


@promise
def copy_leaves_the_given_model_intact(case: Case) -> None:
    """And edits the copy."""
    with unchanged(case):
        edited, _ = _apply(case, copy=True)
    require(edited is not case.model, "copy=True returned the model it was given")
    require(state(edited) != state(case.model), "copy=True returned a model that is not edited")


@promise
def the_same_seed_gives_the_same_edit(case: Case) -> None:
    """Bit for bit, whatever the global random state is."""
    first = case.solve()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12345)
        second = case.solve()
    require(_same(first, second), "two runs with one seed gave different updates")


@promise
def a_batch_of_one_equals_a_single_edit(case: Case) -> None:
    """Through EasyEdit's entry point."""
    update = case.solve()
    edited, _ = _apply(case, copy=True)
    update.commit(case.model)
    require(state(edited) == state(case.model), "a batch of one fact and a single edit differ")


@promise
def dtype_and_device_stay(case: Case) -> None:
    """Of every tensor of the edited model."""
    before = {name: (t.dtype, t.device) for name, t in case.model.state_dict().items()}
    case.solve().commit(case.model)
    after = {name: (t.dtype, t.device) for name, t in case.model.state_dict().items()}
    require(before == after, "names, types or devices of the model's tensors changed")


@promise
def several_facts_go_together(case: Case) -> None:
    """If the algorithm is batchable."""
    if case.spec.batchable:
        with unchanged(case):
            update = case.solve(*FACTS)
            update.commit(case.model)
            update.revert(case.model)


@promise
def bad_facts_are_refused_and_the_model_stays(case: Case) -> None:
    """With an error that tells which fact it is."""
    good: Mapping[str, Any] = FACTS[0]
    bad: list[Mapping[str, Any]] = [
        {**good, "prompt": ""},
        {**good, "target_new": "  "},
        {**good, "target_new": None},
        {**good, "prompt": "far too long " * 200 + good["prompt"]},
        {**good, "locality": {"kind": {"prompt": ["one", "two"], "ground_truth": ["one"]}}},
        good,
    ]
    if case.spec.needs_subject:
        bad.append({**good, "prompt": "A prompt without its subject is"})
    for fact in bad:
        with unchanged(case):
            try:
                _apply(case, facts=[good, fact])
            except RequestError as error:
                require(error.index == 1, f"the error for {fact!r} names fact {error.index}, not 1")
            else:
                raise BrokenPromise(f"{fact!r} was accepted")


@promise
def a_saved_update_is_the_same_update(case: Case) -> None:
    """After loading it from its folder."""
    update = case.solve()
    with TemporaryDirectory() as folder:
        update.save(folder)
        loaded = WeightUpdate.load(folder)
    require(_same(update, loaded), "the loaded update differs from the saved one")


def _apply(case: Case, facts: list[Mapping[str, Any]] | None = None, **flags: Any) -> tuple[nn.Module, Any]:
    return apply_to_model(case.spec, case.model, case.tok, facts or list(FACTS[:1]), case.hparams, **flags)


def _interrupted(case: Case, error: type[BaseException]) -> None:
    for moment in case.moments():
        fresh = case.twin()
        with unchanged(fresh), coming_out(error), raising(fresh.model, error, moment):
            fresh.solve()


def _target_nll(case: Case) -> float:
    from easyedit_ice.text.rows import encode, predict

    row = encode(case.tok, FACTS[0]["prompt"], f" {FACTS[0]['target_new']}")
    with torch.no_grad():
        return predict(case.model, [row]).nll().item()


def _same(one: WeightUpdate, other: WeightUpdate) -> bool:
    return one.deltas.keys() == other.deltas.keys() and all(
        torch.equal(delta.matrix(), other.deltas[name].matrix()) for name, delta in one.deltas.items()
    )
