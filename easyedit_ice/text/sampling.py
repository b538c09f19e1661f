"""Let a model write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from easyedit_ice.anatomy import ModelAnatomy

ROWS = 256
"""Most texts written side by side."""


def sample(
    model: nn.Module,
    tok: Any,
    prefixes: Sequence[Sequence[int]],
    *,
    length: int,
    temperature: float = 1.0,
    top_k: int = 0,
) -> list[tuple[int, ...]]:
    """Continue each prefix with tokens drawn from the model.

    Args:
        model: a causal language model.
        tok: its tokenizer, for the ids of padding and of the end of text.
        prefixes: token ids; none may be empty.
        length: most tokens to draw for each.
        temperature: divides the logits.
        top_k: draw among this many likeliest tokens; 0 for all.

    Returns:
        for each prefix the tokens drawn, up to and including the end of text; fewer, or none, where the model's context
        has no room for more.
    """
    longest = ModelAnatomy(model).context_length
    room = [length if longest is None else min(length, longest + 1 - len(prefix)) for prefix in prefixes]
    choice = {"do_sample": True, "temperature": temperature, "top_k": top_k, "top_p": 1.0}
    drawn: list[tuple[int, ...]] = [()] * len(prefixes)
    for most in sorted({count for count in room if count > 0}, reverse=True):
        own = [index for index, count in enumerate(room) if count == most]
        for index, text in zip(own, _generate(model, tok, [prefixes[i] for i in own], most, choice), strict=True):
            drawn[index] = text
    return drawn


def write(model: nn.Module, tok: Any, prefixes: Sequence[Sequence[int]], *, length: int) -> list[tuple[int, ...]]:
    """Continue each prefix with the likeliest tokens, as :func:`sample` does with drawn ones."""
    return _generate(model, tok, prefixes, length, {"do_sample": False})


@torch.no_grad()
def _generate(
    model: nn.Module, tok: Any, prefixes: Sequence[Sequence[int]], length: int, choice: dict[str, Any]
) -> list[tuple[int, ...]]:
    from transformers import GenerationConfig

    if len(prefixes) > ROWS:
        chunks = [prefixes[start : start + ROWS] for start in range(0, len(prefixes), ROWS)]
        return [text for chunk in chunks for text in _generate(model, tok, chunk, length, choice)]
    device = model.get_input_embeddings().weight.device
    width = max(map(len, prefixes))
    pad = tok.eos_token_id if tok.pad_token_id is None else tok.pad_token_id
    ids = torch.tensor([[pad] * (width - len(prefix)) + list(prefix) for prefix in prefixes], device=device)
    attention = torch.tensor([[0] * (width - len(prefix)) + [1] * len(prefix) for prefix in prefixes], device=device)
    config = GenerationConfig(
        max_new_tokens=length, pad_token_id=pad, eos_token_id=tok.eos_token_id, use_cache=True, **choice
    )
    with _evaluating(model):
        output = model.generate(input_ids=ids, attention_mask=attention, generation_config=config)
    return [_until_end(row, tok.eos_token_id) for row in output[:, width:].tolist()]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """All modules in evaluation mode; in training mode a checkpointed block would drop its cache."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def beginning(tok: Any) -> int:
    """The token a text begins with: the tokenizer's beginning of text, else its end of text, which precedes one."""
    return tok.eos_token_id if tok.bos_token_id is None else tok.bos_token_id


def _until_end(ids: Sequence[int], end: int | None) -> tuple[int, ...]:
    return tuple(ids[: ids.index(end) + 1] if end in ids else ids)
