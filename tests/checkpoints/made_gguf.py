"""Tiny random models as GGUF, written as llama.cpp's converter writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, RopeScalingType, quantize
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from easyedit_ice.testing.tiny_models import tokenizer

HEADS, KV_HEADS, LAYERS = 4, 2, 2
_BLOCK = {
    "llama": {
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    "gemma3_text": {
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    "gpt2": {
        "ln_1": "attn_norm",
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    },
}
_OUTER = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
}


def tiny_llama(biases: str | None = None, **scaling: Any) -> LlamaForCausalLM:
    """Grouped queries, tied head; `scaling` of its positions, and biases in its "mlp" or "attention"."""
    torch.manual_seed(0)
    config = LlamaConfig(
        mlp_bias=biases == "mlp",
        attention_bias=biases == "attention",
        vocab_size=len(tokenizer()),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, **scaling},
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    return model


def tiny_gpt2() -> GPT2LMHeadModel:
    """Matrices stored (in, out)."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer()), n_embd=64, n_layer=LAYERS, n_head=HEADS, n_positions=128)
    return GPT2LMHeadModel(config).eval()


def tiny_gemma() -> Gemma3ForCausalLM:
    """Norms that GGUF keeps with one added."""
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=len(tokenizer()),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=32,
        max_position_embeddings=128,
    )
    model = Gemma3ForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.copy_(torch.randint(-64, 64, parameter.shape) / 128)
    return model


def write_gguf(
    model: Any, path: Path, kind: str = "Q8_0", pre: str = "default", rope: dict[str, Any] | None = None, **ends: int
) -> Path:
    """A model as GGUF, its matrices in a type, with the tokenizer of the tests.

    Args:
        model: one of the above.
        path: of the file.
        kind: type of the matrices.
        pre: how text is split before all else.
        rope: further entries about positions, such as ``scaling.factor``.
        **ends: further ids of the tokenizer, such as ``eot_token_id``.
    """
    architecture = model.config.model_type
    writer = GGUFWriter(path, architecture.removesuffix("_text"))
    _write_metadata(writer, model.config, pre, ends)
    _write_scaling(writer, model)
    for name, value in (rope or {}).items():
        {str: writer.add_string, float: writer.add_float32, list: writer.add_array}[type(value)](
            f"{architecture}.rope.{name}", value
        )
    for name, parameter in model.named_parameters():
        values = parameter.detach().numpy()
        module, _, suffix = name.rpartition(".")
        if module in _OUTER:
            target = _OUTER[module]
        else:
            _, _, layer, inner = module.split(".", 3)
            target = f"blk.{layer}.{_BLOCK[architecture][inner]}"
        if architecture == "llama" and target.endswith(("attn_q", "attn_k")) and values.ndim == 2:
            values = _interleaved(values, HEADS if target.endswith("attn_q") else KV_HEADS)
        if architecture == "gemma3_text" and "norm" in target:
            values = values + np.float32(1)
        if architecture == "gpt2" and values.ndim == 2 and module not in _OUTER:
            values = np.ascontiguousarray(values.T)
        packed = GGMLQuantizationType[kind if values.ndim == 2 else "F32"]
        writer.add_tensor(f"{target}.{suffix}", quantize(values, packed), raw_dtype=packed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_scaling(writer: GGUFWriter, model: Any) -> None:
    scaling = getattr(model.config, "rope_parameters", None) or {}
    kind = scaling.get("rope_type", "default")
    if kind == "llama3":
        plain = tiny_llama().model.rotary_emb.inv_freq
        writer.add_tensor("rope_freqs.weight", (plain / model.model.rotary_emb.inv_freq).numpy())
    elif kind != "default":
        writer.add_rope_scaling_type(RopeScalingType(kind))
        writer.add_rope_scaling_factor(scaling["factor"])


def _interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head as llama.cpp turns them, in pairs of neighbours instead of halves."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))


def _write_metadata(writer: GGUFWriter, config: Any, pre: str, ends: dict[str, int]) -> None:
    writer.add_name("Tiny")
    writer.add_file_type(7)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type != "gpt2":
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(10000.0)
        writer.add_vocab_size(config.vocab_size)
    else:
        writer.add_feed_forward_length(4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    tok = tokenizer()
    vocabulary = sorted(tok.get_vocab(), key=tok.get_vocab().get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token in tok.all_special_tokens else 1 for token in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in _merges(tok)])
    writer.add_bos_token_id(tok.eos_token_id)
    writer.add_eos_token_id(tok.eos_token_id)
    writer.add_pad_token_id(tok.pad_token_id)
    writer.add_unk_token_id(tok.eos_token_id)
    for name, value in ends.items():
        writer.add_uint32(f"tokenizer.ggml.{name}", value)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")


def _merges(tok: Any) -> list[tuple[str, str]]:
    import json

    return [tuple(pair) for pair in json.loads(tok.backend_tokenizer.to_str())["model"]["merges"]]
