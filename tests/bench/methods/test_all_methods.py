"""What every method promises, ours and those of the EasyEdit that is loaded."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from quick_methods import FACTS, SLOW, available, bits, flags, parameters, says

from easyedit_ice.bench.methods import Edited
from easyedit_ice.errors import RequestError, UpdateError
from easyedit_ice.testing.cases import raising

NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in available() if name != "SimIE"
]
CHANGING = [name for name in NAMES if name.values[0] not in ("Prompt", "Retrieval", "IKE")]


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_is_undone_to_the_bit(name: str, method: Callable) -> None:
    made = method(name)
    before, around = bits(made), flags(made)
    for fact in FACTS[:2]:
        edited = made.apply([fact], 0)
        assert len(edited.contexts) == 1
        made.undo(edited)
        assert bits(made) == before
        assert flags(made) == around


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_that_was_taken_out_in_the_methods_own_way_is_undone_to_the_bit_as_well(
    name: str, method: Callable
) -> None:
    made = method(name)
    before, around = bits(made), flags(made)
    edited = made.apply([FACTS[0]], 0)
    left = made.take_out(edited)
    said = says(Edited(left, {}, edited.contexts), made.tok) if name in ("FT", "ROME", "LoRA-BF") else None
    made.undo(edited)
    assert bits(made) == before
    assert flags(made) == around
    if said is not None:
        assert said == says(Edited(made.model, {}, edited.contexts), made.tok)


@pytest.mark.parametrize("name", NAMES)
def test_edits_depend_on_state_and_seed_and_not_on_what_was_edited_and_undone(name: str, method: Callable) -> None:
    made, other = method(name), method(name)
    made.undo(made.apply([FACTS[1]], 5))
    torch.manual_seed(17), np.random.seed(17), random.seed(17)
    again, first = made.apply([FACTS[0]], 3), other.apply([FACTS[0]], 3)
    assert says(again, made.tok) == says(first, other.tok)


@pytest.mark.parametrize("name", NAMES)
def test_the_random_state_of_the_process_stays(name: str, method: Callable) -> None:
    made = method(name)
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    made.undo(made.apply([FACTS[0]], 0))
    made.reset()
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1][1], np.random.get_state()[1])
    assert states[2] == random.getstate()


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_undone_by_its_last_edit_and_reset_as_a_whole(name: str, method: Callable) -> None:
    made = method(name)
    before, around = bits(made), flags(made)
    first = made.apply([FACTS[0]], 0)
    said = says(first, made.tok)
    second = made.apply([FACTS[1]], 0)
    made.undo(second)
    assert says(first, made.tok) == said
    made.apply([FACTS[2]], 0)
    made.reset()
    assert bits(made) == before
    assert flags(made) == around


@pytest.mark.parametrize("name", CHANGING)
def test_an_edit_that_fails_changes_nothing(name: str, method: Callable) -> None:
    made = method(name)
    first = made.apply([FACTS[0]], 0)
    before, said = bits(made), says(first, made.tok)
    moment = 1 if name == "ULTRAEDIT" else 2  # it runs the model once
    with raising(made.model.get_input_embeddings(), KeyboardInterrupt, moment), pytest.raises(KeyboardInterrupt):
        made.apply([FACTS[1]], 0)
    assert bits(made) == before
    assert says(first, made.tok) == said
    made.undo(first)


@pytest.mark.parametrize("name", CHANGING)
def test_originals_are_the_base_values_of_the_parameters_that_changed(name: str, method: Callable) -> None:
    made = method(name)
    base = parameters(made.model)
    first = parameters(made.apply([FACTS[0]], 0).model)
    edited = made.apply([FACTS[1]], 0)
    now = parameters(edited.model)
    assert all(torch.equal(original, base[parameter]) for parameter, original in edited.originals.items())
    changed = {key for key in base.keys() & now.keys() & first.keys() if not torch.equal(now[key], first[key])}
    assert set(edited.originals) == changed


@pytest.mark.parametrize("name", CHANGING)
def test_a_stream_goes_on_from_its_saved_state(name: str, method: Callable) -> None:
    made, later = method(name), method(name)
    made.apply([FACTS[0]], 0)
    state = made.state()
    if state is None:
        pytest.skip(f"{name} keeps its edits in objects")
    later.load_state({name: tensor.clone() for name, tensor in state.items()})
    assert bits(later) == bits(made)
    assert says(later.apply([FACTS[1]], 1), later.tok) == says(made.apply([FACTS[1]], 1), made.tok)


@pytest.mark.parametrize("name", CHANGING)
def test_only_the_last_edit_can_be_undone(name: str, method: Callable) -> None:
    made = method(name)
    first = made.apply([FACTS[0]], 0)
    made.undo(first)
    with pytest.raises(UpdateError, match="reset"):
        made.undo(first)


@pytest.mark.slow
@pytest.mark.skipif("SimIE" not in available(), reason="SimIE is in EasyEdit's head only")
def test_simie_edits_and_is_undone_as_the_method_it_wraps(method: Callable) -> None:
    made = method("SimIE")
    before, around = bits(made), flags(made)
    edited = made.apply([FACTS[0]], 0)
    said = says(edited, made.tok)
    assert set(edited.originals) == {"transformer.h.2.mlp.c_proj.weight"}
    made.undo(edited)
    assert bits(made) == before
    assert flags(made) == around
    assert says(made.apply([FACTS[0]], 0), made.tok) == said


def test_a_batch_writes_all_of_its_facts(method: Callable) -> None:
    made = method("MEMIT")
    together = made.apply(FACTS, 0)
    assert len(together.contexts) == len(FACTS)
    said = [says(together, made.tok, fact["prompt"]) for fact in FACTS]
    made.undo(together)
    alone = made.apply(FACTS[:1], 0)
    assert all(says(alone, made.tok, fact["prompt"]) != one for fact, one in zip(FACTS[1:], said[1:], strict=True))


def test_methods_that_write_one_fact_at_a_time_refuse_several(method: Callable) -> None:
    made = method("ROME")
    assert not made.batchable
    with pytest.raises(RequestError, match="one fact at a time"):
        made.apply(FACTS, 0)
