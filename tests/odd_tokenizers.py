"""Tokenizers as real models have them: with a beginning of text, an end that is appended, a chat template, or less."""

from __future__ import annotations

from typing import Any

from easyedit_ice.testing.tiny_models import FACTS

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<turn>' + m['role'] + '\n' + m['content'] | trim + '</turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}"
)
"""Like Gemma's: it begins with the beginning of text and ends with a line break."""


def byte_level(before: str = "", after: str = "", **tokens: str | None) -> Any:
    """A tokenizer of 320 tokens, as many as the tiny models have.

    Args:
        before: a special token that is put before each text, such as ``"<s>"``.
        after: one that is put after it, such as ``"</s>"``.
        **tokens: special tokens, such as ``bos_token``; ``eos_token`` is ``"</s>"`` where none is given.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<turn>", "</turn>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([f"{fact['prompt']} {fact['target_new']}" for fact in FACTS], trainer)
    if before or after:
        marks = [(mark, core.token_to_id(mark)) for mark in (before, after) if mark]
        core.post_processor = TemplateProcessing(single=f"{before} $A {after}".split(), special_tokens=marks)
    extra = {"additional_special_tokens": special[2:]}
    return PreTrainedTokenizerFast(tokenizer_object=core, **{"eos_token": "</s>"} | tokens | extra)


def chatting() -> Any:
    """One of a chat model that puts a beginning before each text."""
    tok = byte_level("<s>", bos_token="<s>", pad_token="</s>")
    tok.chat_template = TEMPLATE
    return tok


def rendered(tok: Any, question: str) -> str:
    """What the template makes of a question."""
    return tok.apply_chat_template([{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True)
