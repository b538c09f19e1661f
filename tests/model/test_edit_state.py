"""What is kept with a model is copied with it, is seen nowhere else, and ends with it."""

from __future__ import annotations

import copy
import gc
import io
import threading
import weakref

import pytest
import torch
from packed import logits, packed_llama
from torch import nn

from easyedit_ice.edit.apply import apply_to_model, solve
from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.errors import ModelInUseError, UpdateError
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.edit_state import ATTRIBUTE, state_of
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

HPARAMS = GoRAHyperParams(num_steps=2, rank=2)
SOME = pytest.mark.parametrize("shape", SHAPES[:4], ids=[shape.name for shape in SHAPES[:4]])


def _solved(model: nn.Module, fact: int = 0) -> WeightUpdate:
    return solve(model, tokenizer(), [FACTS[fact]], HPARAMS)


@SOME
def test_an_update_comes_out_of_a_copy_as_out_of_the_model_each_by_itself(shape) -> None:
    model = shape.build()
    before, update = state(model), _solved(model)
    update.commit(model)
    edited, copied = state(model), copy.deepcopy(model)
    assert edits_in(copied) == edits_in(model) == (update.keys,)
    update.revert(copied)
    assert (state(copied), state(model)) == (before, edited)
    assert (edits_in(copied), edits_in(model)) == ((), (update.keys,))
    update.revert(model)
    assert state(model) == before
    with pytest.raises(UpdateError, match="not committed to this model"):
        update.revert(copied)


def test_the_originals_restore_a_copy_too() -> None:
    model = SHAPES[0].build()
    before = state(model)
    originals = _solved(model).commit(model)
    copied = copy.deepcopy(model)
    originals.restore(copied)
    assert state(copied) == before
    assert (len(edits_in(copied)), len(edits_in(model))) == (0, 1)


def test_an_update_beside_packed_weights_comes_out_of_a_copy_too() -> None:
    model = packed_llama(4)
    said, update = logits(model), _solved(model)
    update.commit(model)
    with_edit, copied = logits(model), copy.deepcopy(model)
    assert torch.equal(logits(copied), with_edit)
    update.revert(copied)
    assert torch.equal(logits(copied), said)
    assert torch.equal(logits(model), with_edit)


def test_a_copy_has_the_measurements_of_the_unedited_model_and_makes_its_own_from_there_on() -> None:
    model = SHAPES[0].build()
    weights = baseline_of(model).weights
    baseline_of(model).tables["kind"]["early"] = 1
    _solved(model).commit(model)
    copied = copy.deepcopy(model)
    assert baseline_of(copied).weights == weights
    assert baseline_of(copied).tables["kind"] == {"early": 1}
    baseline_of(copied).tables["kind"]["late"] = 2
    assert baseline_of(model).tables["kind"] == {"early": 1}


def test_editing_a_copy_needs_nothing_to_be_told() -> None:
    model = SHAPES[0].build()
    first = _solved(model)
    first.commit(model)
    copied, _ = apply_to_model(ALGORITHMS["GoRA"], model, tokenizer(), [FACTS[1]], HPARAMS, copy=True)
    assert len(edits_in(copied)) == 2
    assert edits_in(model) == (first.keys,)
    _solved(model, 1).commit(model)
    assert state(copied) == state(model)


def test_it_is_no_part_of_the_models_contents(tmp_path) -> None:
    model, untouched = SHAPES[0].build(), SHAPES[0].build()
    _solved(model).commit(model)
    for contents in ("state_dict", "named_modules", "named_parameters", "named_buffers"):
        assert list(dict(getattr(model, contents)())) == list(dict(getattr(untouched, contents)()))
    assert repr(model) == repr(untouched)
    model.save_pretrained(tmp_path)
    assert not any(ATTRIBUTE.encode() in path.read_bytes() for path in tmp_path.iterdir())


def test_an_edited_model_can_be_pickled_and_edited_further() -> None:
    model = SHAPES[0].build()
    _solved(model).commit(model)
    file = io.BytesIO()
    torch.save(model, file)
    assert b"easyedit_ice" not in file.getvalue(), "it could not be read without this package"
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert state(loaded) == state(model)
    update = _solved(loaded, 1)
    update.commit(loaded)
    update.revert(loaded)
    assert state(loaded) == state(model)


def test_compiled_models_and_shallow_copies_share_it_with_the_weights() -> None:
    model = SHAPES[0].build()
    update = _solved(model)
    update.commit(model)
    for other in (torch.compile(model), copy.copy(model)):
        assert state_of(other) is state_of(model)
    replica = model._replicate_for_data_parallel()
    assert edits_in(replica) == (update.keys,)


def test_what_is_found_within_a_preserved_block_stays() -> None:
    model = SHAPES[0].build()
    with preserved(model, tokenizer()):
        found = baseline_of(model)
    assert baseline_of(model) is found


def test_it_ends_with_its_model() -> None:
    model = SHAPES[0].build()
    update = _solved(model)
    originals = update.commit(model)
    alive = weakref.ref(state_of(model)), weakref.ref(model)
    del model
    gc.collect()
    assert [one() for one in alive] == [None, None]
    assert originals


def test_the_record_of_a_commit_ends_with_its_update() -> None:
    model = SHAPES[0].build()
    for fact in (0, 1):
        _solved(model, fact).commit(model)
    gc.collect()
    assert len(state_of(model).commits) == 0
    assert len(edits_in(model)) == 2


@pytest.mark.parametrize("do", ["solve", "commit", "revert"])
def test_a_model_in_use_by_another_thread_is_refused_by_name(do) -> None:
    model = SHAPES[0].build()
    update, other = _solved(model), _solved(model, 1)
    other.commit(model)
    actions = {
        "solve": lambda: _solved(model),
        "commit": lambda: update.commit(model),
        "revert": lambda: other.revert(model),
    }
    before, begun, ended = state(model), threading.Event(), threading.Event()

    def use() -> None:
        with state_of(model).in_use():
            begun.set()
            ended.wait(10)

    thread = threading.Thread(target=use)
    thread.start()
    begun.wait(10)
    try:
        with pytest.raises(ModelInUseError, match="another thread edits this model"):
            actions[do]()
        assert state(model) == before
    finally:
        ended.set()
        thread.join()
    actions[do]()
