"""What a training pass keeps, by estimate and in fact."""

from __future__ import annotations

import pytest
import torch
from architectures import tiny

from easyedit_ice.edit.apply import solve
from easyedit_ice.editors.algorithms.lora import LoraHyperParams
from easyedit_ice.editors.gradient import trainer as loop
from easyedit_ice.editors.gradient.adapters import LowRankAdapter
from easyedit_ice.model.activation_memory import bytes_per_token, kept_per_token, tokens_within
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.fused_activation import fused_activations
from easyedit_ice.model.logits import logits_at
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

ROWS, LENGTH = 8, 32


def _kept(model: torch.nn.Module) -> float:
    """Bytes for each token that autograd keeps, without the model's own tensors."""
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    ids = torch.randint(1, 60, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), fused_activations(model):
        logits_at(model, inputs, [(0, 5)])
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own) / (ROWS * LENGTH)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("patterns", "layers"), [(["mlp.out"], [1]), (["mlp.out"], None), (["all"], None)])
@pytest.mark.parametrize("name", ["GPT2", "Llama", "Qwen2", "OPT", "Phi3"])
def test_the_estimate_is_what_autograd_keeps(name, patterns, layers, dtype):
    model = tiny(name, **({"n_inner": 128} if name == "GPT2" else {})).to(dtype)
    anatomy = ModelAnatomy(model)
    trained = anatomy.match(patterns, layers)
    estimate = kept_per_token(model, trained)
    LowRankAdapter(model, trained, rank=1, alpha=1, dropout=0.0)
    assert 0.9 < estimate / _kept(model) < 1.25


def test_a_budget_holds_as_many_tokens_as_fit_and_at_least_one():
    model = tiny("Llama")
    for checkpointed in (False, True):
        each = bytes_per_token(model, checkpointed=checkpointed)
        assert tokens_within(model, 100 * each, checkpointed=checkpointed) == 100
        assert tokens_within(model, 100 * each - 1, checkpointed=checkpointed) == 99
        assert tokens_within(model, 1, checkpointed=checkpointed) == 1


def test_checkpointing_and_training_higher_blocks_make_room_for_more_tokens():
    model = tiny("Llama", num_hidden_layers=12)
    (upper,) = ModelAnatomy(model).match(["mlp.out"], [10])
    everywhere = tokens_within(model, 2**20, checkpointed=False)
    assert tokens_within(model, 2**20, checkpointed=True) > everywhere
    assert tokens_within(model, 2**20, checkpointed=False, trained=[upper]) > everywhere


def test_the_weights_are_not_read():
    model = tiny("Llama")
    assert kept_per_token(model.to("meta")) == kept_per_token(tiny("Llama"))


def test_a_small_budget_gives_the_same_update_in_more_passes(monkeypatch):
    passes: list[int] = []
    run = loop._losses

    def counted(model, teacher, terms):
        passes.append(len(terms))
        return run(model, teacher, terms)

    monkeypatch.setattr(loop, "_losses", counted)
    updates = []
    for budget in (None, 0.01):
        hparams = LoraHyperParams(num_steps=3, rank=2, lr=1e-2, stop_nll=None, activation_budget=budget)
        updates.append(solve(SHAPES[0].build(), tokenizer(), FACTS, hparams))
    assert passes == [3] * 3 + [1] * 9
    whole, parted = updates
    for name, delta in whole.deltas.items():
        torch.testing.assert_close(parted.deltas[name].matrix(), delta.matrix(), rtol=1e-3, atol=1e-6)
