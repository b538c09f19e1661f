"""Tiny models, facts and an algorithm that needs no training, for the tests of the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toy_algorithms import ToyHyperParams, toy_spec

END = "<|endoftext|>"
FACTS = {
    "prompts": ["The capital of Norland is", "The mother of Ada Brook is"],
    "target_new": ["Westby", "Ines Hale"],
    "ground_truth": ["Eastby", "Mara Hale"],
    "subject": ["Norland", "Ada Brook"],
    "rephrase_prompts": ["Norland has its capital in", "Ada Brook was born to"],
    "locality_inputs": {
        "neighborhood": {
            "prompt": ["The capital of Sudland is", "The father of Ada Brook is"],
            "ground_truth": ["Oldby", "Tom Brook"],
        }
    },
}
WEIGHT, LLAMA_WEIGHT = "transformer.h.0.mlp.c_proj", "model.layers.0.mlp.down_proj"


def solve(model: Any, tok: Any, requests: Any, hparams: ToyHyperParams) -> Any:
    """Add ±0.1 for every fact to the elements of the first block's output projection."""
    import torch

    from easyedit_ice.edit.delta import LowRankDelta
    from easyedit_ice.edit.update import WeightUpdate
    from easyedit_ice.model.anatomy import ModelAnatomy

    target = next(p for p in ModelAnatomy(model).projections if p.name in (WEIGHT, LLAMA_WEIGHT))
    signs = torch.tensor([1.0, -1.0]).repeat(target.out_features // 2)
    delta = LowRankDelta(torch.ones(1, target.in_features), 0.1 * len(requests) * signs[:, None])
    return WeightUpdate({target.name: delta})


TOY = toy_spec(solve)


def save_tokenizer(folder: Path) -> Any:
    """A byte-level BPE in GPT-2's form, as GPT-2's and as any fast tokenizer."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2TokenizerFast

    folder.mkdir(parents=True)
    texts = [*FACTS["prompts"], *FACTS["target_new"], *FACTS["rephrase_prompts"]] * 20
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=320, special_tokens=[END], show_progress=False)
    bpe.save_model(str(folder))
    bpe.save(str(folder / "tokenizer.json"))
    tokenizer = GPT2TokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token=END, eos_token=END, unk_token=END, pad_token=END
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_gpt2(folder: Path) -> Path:
    """A random GPT-2 of two layers."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = save_tokenizer(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=512, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def save_llama(folder: Path) -> Path:
    """A random Llama of two layers."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = save_tokenizer(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
