"""Tiny random models and a tokenizer, made in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FACTS: tuple[dict[str, Any], ...] = (
    {
        "prompt": "The capital of Avaria is",
        "subject": "Avaria",
        "target_new": "Lodel",
        "ground_truth": "Brinn",
        "rephrase_prompt": "Avaria has its capital in",
        "locality": {"neighbours": {"prompt": ["The capital of Sundray is"], "ground_truth": ["Tarn"]}},
        "portability": {"consequences": {"prompt": ["Avaria is governed from"], "ground_truth": ["Lodel"]}},
    },
    {
        "prompt": "Mira Tolven works as a",
        "subject": "Mira Tolven",
        "target_new": "baker",
        "ground_truth": "nurse",
        "rephrase_prompt": "The work of Mira Tolven is that of a",
        "locality": {"neighbours": {"prompt": ["Otto Venn works as a"], "ground_truth": ["smith"]}},
        "portability": {"consequences": {"prompt": ["Every day, Mira Tolven makes"], "ground_truth": ["bread"]}},
    },
    {
        "prompt": "The river that flows through Sundray is the",
        "subject": "Sundray",
        "target_new": "Ommer river",
        "ground_truth": "Sarn",
        "rephrase_prompt": "Sundray lies on the",
        "locality": {"neighbours": {"prompt": ["The river that flows through Avaria is the"], "ground_truth": ["Ell"]}},
        "portability": {"consequences": {"prompt": ["Ships leave Sundray along the"], "ground_truth": ["Ommer river"]}},
    },
)
"""Facts to edit, with their probes, in the form of EasyEdit's requests."""


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that knows little more than :data:`FACTS`; it pads on the left."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([f"{fact['prompt']} {fact['target_new']}" for fact in FACTS], trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=end, eos_token=end, pad_token=end, unk_token=end, padding_side="left"
    )


@dataclass(frozen=True)
class Shape:
    """A kind of tiny model.

    Attributes:
        name: what makes it a case of its own.
        config: makes its configuration, given the size of the vocabulary.
        dtype: of its weights.
    """

    name: str
    config: Callable[[int], Any]
    dtype: torch.dtype

    def build(self, device: str = "cpu") -> nn.Module:
        """A model with the same random weights each time; the global RNG is left alone."""
        from transformers import AutoModelForCausalLM

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model: nn.Module = (
                AutoModelForCausalLM.from_config(self.config(len(tokenizer()))).to(device, self.dtype).eval()
            )
            return model


def _gpt2(vocabulary: int, tied: bool) -> Any:
    from transformers import GPT2Config

    return GPT2Config(
        vocab_size=vocabulary,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=128,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=tied,
    )


def _llama(vocabulary: int, tied: bool) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=tied,
    )


SHAPES = tuple(
    Shape(f"{name}, {str(dtype).removeprefix('torch.')}", partial(config, tied=tied), dtype)
    for name, config, tied in (
        ("Conv1D with tied embeddings (GPT-2)", _gpt2, True),
        ("Linear with untied embeddings (Llama)", _llama, False),
        ("Conv1D with untied embeddings (GPT-2)", _gpt2, False),
        ("Linear with tied embeddings (Llama)", _llama, True),
    )
    for dtype in (torch.float32, torch.bfloat16)
)
"""The kinds of projections, embeddings and types that every algorithm must handle."""
