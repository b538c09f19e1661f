"""What EasyEdit is handed restores all of an edit, and only by EasyEdit's way of restoring."""

from __future__ import annotations

import pytest
import torch
from packed import logits, packed_llama

from easyedit_ice.easyedit.plugin.restoring import WeightsCopy
from easyedit_ice.easyedit.plugin.undo_on_failure import undoing_failures
from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.history import edits_in
from easyedit_ice.editors.algorithms.gora import GoRAHyperParams
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

HPARAMS = GoRAHyperParams(num_steps=2, rank=2)
SOME = pytest.mark.parametrize("shape", SHAPES[:4], ids=[shape.name for shape in SHAPES[:4]])


@torch.no_grad()
def _restore_as_easyedit_does(model: torch.nn.Module, copies: WeightsCopy) -> None:
    for name, original in copies.items():
        model.get_parameter(name)[...] = original


@SOME
def test_an_edit_that_easyedit_takes_out_is_forgotten(shape) -> None:
    model = shape.build()
    before = state(model)
    copies = WeightsCopy(model, solve(model, tokenizer(), [FACTS[0]], HPARAMS).commit(model))
    assert len(edits_in(model)) == 1
    _restore_as_easyedit_does(model, copies)
    assert state(model) == before
    assert edits_in(model) == ()


@pytest.mark.parametrize("bits", [4, 8])
def test_deltas_beside_packed_weights_are_detached(bits) -> None:
    model = packed_llama(bits)
    said = logits(model)
    update = solve(model, tokenizer(), [FACTS[0]], HPARAMS)
    copies = WeightsCopy(model, update.commit(model))
    assert not torch.equal(logits(model), said)
    _restore_as_easyedit_does(model, copies)
    assert sum(len(module._forward_hooks) for module in model.modules()) == 0
    assert torch.equal(logits(model), said)
    assert edits_in(model) == ()


def test_what_an_editor_returns_may_be_looked_at() -> None:
    model = SHAPES[0].build()
    originals = solve(model, tokenizer(), [FACTS[0]], HPARAMS).commit(model)

    class Editor:
        @undoing_failures
        def edit(self, sequential_edit: bool = False) -> tuple[list[str], torch.nn.Module, dict[str, torch.Tensor]]:
            return ["metrics"], model, WeightsCopy(model, originals)

    editor = Editor()
    editor.model = model
    metrics, edited, returned = editor.edit(sequential_edit=True)
    assert (metrics, edited) == (["metrics"], model)
    assert [name for name, _ in returned.items()] == list(originals)
    assert len(edits_in(model)) == 1
