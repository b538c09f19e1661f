"""Gates in a plain checkpoint: further units of the MLP that they stand beside."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from easyedit_ice.edit.gated_delta import ANY_LENGTH, GatedDelta
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.edit.wider_mlps import refuse_unheld, widened
from easyedit_ice.errors import UpdateError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.capture import captured
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import tokenizer

WIDE = {"vocab_size": 320, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3}
GATED = {**WIDE, "intermediate_size": 48, "num_key_value_heads": 2}
NARROW = {"vocab_size": 320, "n_embd": 32, "n_head": 4, "n_layer": 3}
CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**GATED),
    "llama with biases": LlamaConfig(**GATED, mlp_bias=True, attention_bias=True, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**GATED, tie_word_embeddings=True),
    "mistral": MistralConfig(**GATED, sliding_window=None),
    "gpt2": GPT2Config(**NARROW),
    "gpt_neo": GPTNeoConfig(
        vocab_size=320, hidden_size=32, num_heads=4, num_layers=2, attention_types=[[["global", "local"], 1]]
    ),
    "gpt_neox": GPTNeoXConfig(**WIDE, intermediate_size=48),
    "gptj": GPTJConfig(**NARROW, rotary_dim=4),
    "phi": PhiConfig(**WIDE, intermediate_size=48),
}
TEXT = torch.tensor([[5, 9, 200, 31, 77, 140, 6, 18]])


def _model(config: PreTrainedConfig, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).to(dtype).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.02)
    return model


def _gates(model: PreTrainedModel, layer: int = 1) -> WeightUpdate:
    """Three gates beside an MLP: by one token of the text each, shut, half open and open there."""
    mlp = ModelAnatomy(model).mlps[layer]
    with captured({"mlp": mlp.module}, "in") as states, torch.no_grad():
        model(TEXT)
    keys = states["mlp"].reshape(-1, mlp.in_features).float()[[2, 4, 6]]
    readers = keys / keys.square().sum(1, keepdim=True)
    ends = torch.tensor([1.5, 1.1, 0.9])
    values = torch.randn(3, mlp.out_features, generator=torch.Generator().manual_seed(1)) * 3
    delta = GatedDelta(readers, torch.full((3,), ANY_LENGTH), values, ends - 0.2, ends)
    return WeightUpdate({mlp.name: delta})


def _logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(TEXT).logits.float()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_checkpoint_without_this_package_answers_as_the_gates_do(name: str, tmp_path: Path) -> None:
    model = _model(CONFIGS[name])
    update, before, plain = _gates(model), state(model), _logits(model)
    with update.applied(model):
        edited = _logits(model)
    update.to_hf(model, tokenizer(), tmp_path / "hf")
    assert state(model) == before
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
    moved = (edited - plain).abs().max()
    assert moved > 0.1
    assert (_logits(loaded) - edited).abs().max() < 0.01 * moved
    assert not any(module._forward_hooks for module in loaded.modules())


def test_in_half_precision_it_does_so_up_to_rounding(tmp_path: Path) -> None:
    model = _model(CONFIGS["llama"], torch.bfloat16)
    update, plain = _gates(model), _logits(model)
    with update.applied(model):
        edited = _logits(model)
    update.to_hf(model, tokenizer(), tmp_path / "hf")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
    assert loaded.dtype == torch.bfloat16
    assert (_logits(loaded) - edited).abs().max() < 0.05 * (edited - plain).abs().max()


def test_gates_of_several_edits_and_blocks_are_units_of_one_checkpoint(tmp_path: Path) -> None:
    model = _model(CONFIGS["gpt2"])
    first = _gates(model)
    first.commit(model)
    second = _gates(model, 2)
    second.commit(model)
    edited = _logits(model)
    wide = widened(model)
    assert (_logits(wide) - edited).abs().max() < 0.01
    assert wide.config.n_inner == 192
    second.revert(model)
    first.revert(model)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (GemmaConfig(**GATED, head_dim=8), "gates cannot be made units of the MLPs of gemma models, but of llama"),
        (MistralConfig(**GATED, sliding_window=16), "with sliding_window it cannot be written as Llama"),
        (LlamaConfig(**GATED, hidden_act="tanh"), "the activation of this model's MLPs is unlike relu"),
    ],
)
def test_models_whose_mlps_cannot_hold_gates_are_refused_and_stay(config, told, tmp_path: Path) -> None:
    model = _model(config)
    update, before = _gates(model), state(model)
    with pytest.raises(UpdateError, match=told):
        update.to_hf(model, tokenizer(), tmp_path / "hf")
    assert not (tmp_path / "hf").exists()
    assert state(model) == before


def test_gates_that_go_by_an_inputs_length_are_no_units(tmp_path: Path) -> None:
    model = _model(CONFIGS["llama"])
    refuse_unheld(model)
    (name, delta) = next(iter(_gates(model).deltas.items()))
    bounded = GatedDelta(delta.readers, torch.ones(3), delta.values, delta.closed, delta.open)
    with pytest.raises(UpdateError, match=f"what stands beside {name} is no unit of an MLP"):
        WeightUpdate({name: bounded}).to_hf(model, tokenizer(), tmp_path / "hf")
    assert not (tmp_path / "hf").exists()
