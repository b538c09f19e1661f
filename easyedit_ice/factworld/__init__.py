"""The embedded world: a small GPT-2 that knows invented facts, and records to edit them.

It serves the demo, the tests and the examples, without a download. Importing this package loads no
model: :func:`load` does, and :func:`records` and :func:`general_text` are pure Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from easyedit_ice.factworld.world_facts import World, default_world
from easyedit_ice.factworld.world_records import records, write_records
from easyedit_ice.factworld.world_text import general_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["World", "default_world", "general_text", "load", "model_path", "records", "write_records"]


def model_path() -> Path:
    """The folder of the shipped model; its name holds ``gpt2``, by which EasyEdit knows how to load it."""
    return Path(__file__).parent / "gpt2-factworld"


def load() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The shipped model in evaluation mode, on the CPU, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(model_path()).eval()
    return model, AutoTokenizer.from_pretrained(model_path())
