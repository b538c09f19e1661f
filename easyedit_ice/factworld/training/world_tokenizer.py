"""The model's tokenizer: byte-level BPE in GPT-2's form, trained on text of the world."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from easyedit_ice.factworld.documents import END

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def train_tokenizer(texts: Iterable[str], vocab_size: int, directory: Path) -> PreTrainedTokenizerBase:
    """Train a tokenizer, save it with ``tokenizer.json``, ``vocab.json`` and ``merges.txt``, and load it.

    The end mark serves as beginning, end, unknown and padding token, as it does for GPT-2.
    """
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2TokenizerFast  # type: ignore[attr-defined]  # made when it is asked for

    directory.mkdir(parents=True, exist_ok=True)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=vocab_size, special_tokens=[END], show_progress=False)
    bpe.save_model(str(directory))
    bpe.save(str(directory / "tokenizer.json"))
    GPT2TokenizerFast(
        tokenizer_file=str(directory / "tokenizer.json"),
        bos_token=END,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        model_max_length=1024,
    ).save_pretrained(directory)
    tokenizer: PreTrainedTokenizerBase = GPT2TokenizerFast.from_pretrained(directory)
    return tokenizer
