"""A tiny Llama whose weights bitsandbytes has packed."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import tokenizer

IDS = torch.tensor([[5, 6, 7, 8]])


def packed_llama(bits: int) -> torch.nn.Module:
    """A model in 4 or 8 bits, of widths that bitsandbytes' kernels take."""
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes to pack weights")
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        vocab_size=len(tokenizer()),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
    )
    with TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        settings = {"model_name": folder, "device": "cpu", "dtype": "float32", "quantization_bit": bits}
        model, _ = load_model(EditHyperParams(**settings))
    logits(model)  # at its first inference on a CPU bitsandbytes may lay the packed bytes out anew, if let
    return model


def unpacked(model: torch.nn.Module) -> torch.nn.Module:
    """A model in 4 bits with plain weights in their place: the numbers that they stand for."""
    import bitsandbytes

    for name, module in list(model.named_modules()):
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            linear = torch.nn.Linear(module.in_features, module.out_features, bias=False)
            linear.weight.data = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
            model.set_submodule(name, linear)
    return model


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    """What the model says to a fixed text."""
    return model(input_ids=IDS).logits


def packed_bytes(model: torch.nn.Module) -> dict[str, Any]:
    """The packed weights, bit by bit."""
    return {p.name: p.module.weight.data.numpy().tobytes() for p in ModelAnatomy(model).projections}
