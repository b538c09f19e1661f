"""Tiny random models of the architectures users have, and what their projections are called."""

from __future__ import annotations

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

LAYERS, WIDTH, INNER = 3, 32, 48
SEVERAL = {"vocab_size": 64, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
OLD = SEVERAL | {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4, "n_positions": 64, "n_inner": INNER}
NEW = SEVERAL | {
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
HEADS = {"head_dim": 8}
LLAMA_LIKE = {
    "attention.in": {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
    "attention.out": {"self_attn.o_proj"},
    "mlp.in": {"mlp.gate_proj", "mlp.up_proj"},
    "mlp.out": {"mlp.down_proj"},
}


def _roles(attention_in: str, attention_out: str, mlp_in: str, mlp_out: str) -> dict[str, set[str]]:
    return {
        "attention.in": set(attention_in.split()),
        "attention.out": {attention_out},
        "mlp.in": set(mlp_in.split()),
        "mlp.out": {mlp_out},
    }


ARCHITECTURES = {
    "GPT2": (OLD, _roles("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")),
    "GPTJ": (
        OLD | {"rotary_dim": 4},
        _roles("attn.q_proj attn.k_proj attn.v_proj", "attn.out_proj", "mlp.fc_in", "mlp.fc_out"),
    ),
    "GPTNeoX": (
        NEW,
        _roles("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"),
    ),
    "OPT": (
        NEW | {"ffn_dim": INNER, "word_embed_proj_dim": WIDTH},
        _roles("self_attn.q_proj self_attn.k_proj self_attn.v_proj", "self_attn.out_proj", "fc1", "fc2"),
    ),
    "Llama": (NEW, LLAMA_LIKE),
    "Mistral": (NEW, LLAMA_LIKE),
    "Qwen2": (NEW, LLAMA_LIKE),
    "Qwen3": (NEW | HEADS, LLAMA_LIKE),
    "Gemma": (NEW | HEADS, LLAMA_LIKE),
    "Gemma2": (NEW | HEADS, LLAMA_LIKE),
    "Gemma3Text": (NEW | HEADS, LLAMA_LIKE),
    "Olmo2": (NEW, LLAMA_LIKE),
    "Glm4": (NEW | HEADS, LLAMA_LIKE | {"mlp.in": {"mlp.gate_up_proj"}}),
    "Exaone4": (NEW, LLAMA_LIKE),
    "Granite": (NEW | {"residual_multiplier": 0.2}, LLAMA_LIKE),
    "Falcon": (
        NEW | {"num_kv_heads": 2, "new_decoder_architecture": True, "ffn_hidden_size": INNER},
        _roles("self_attention.query_key_value", "self_attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"),
    ),
    "Phi": (
        NEW,
        _roles("self_attn.q_proj self_attn.k_proj self_attn.v_proj", "self_attn.dense", "mlp.fc1", "mlp.fc2"),
    ),
    "Phi3": (NEW, _roles("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")),
}


LINEAR = HEADS | {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
HYBRIDS = {
    "Qwen3_5Text": NEW | LINEAR | {"layer_types": ["linear_attention", "linear_attention", "full_attention"]},
    "Lfm2": NEW | {"full_attn_idxs": [1]},
    "FalconH1": NEW
    | {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1},
    "Jamba": NEW | {"num_experts": 1, "attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 4},
}
"""Configurations of models that keep more of a text than keys and values: convolutions, states of linear attention."""
AFTERWARDS = {"Gemma2", "Gemma3Text", "Olmo2", "Glm4", "Exaone4", "Granite"}
"""Whose blocks normalise or multiply what a projection writes before they add it to the residual stream."""


def tiny(name: str, **changes: object) -> torch.nn.Module:
    """A model in fp32, in evaluation mode."""
    config = getattr(transformers, f"{name}Config", None)
    if config is None:
        pytest.skip(f"this transformers has no {name}")
    settings = HYBRIDS[name] if name in HYBRIDS else ARCHITECTURES[name][0]
    return AutoModelForCausalLM.from_config(config(**settings | changes)).eval()
