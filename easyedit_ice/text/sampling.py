"""Let a model write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.batching import batches
from easyedit_ice.tokens import ends_of_text, padding_id, until_end

ROWS = 256
"""Most texts written side by side."""

Processor = Callable[[Tensor, Tensor], Tensor]
"""Tokens so far (n, t) and scores of the next one (n, v) -> other scores, as transformers' logits processors."""


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
        tok: its tokenizer, for the end of text, beside those that the model's own ``generation_config`` lists.
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


def write(
    model: nn.Module, tok: Any, prefixes: Sequence[Sequence[int]], *, length: int, processors: Sequence[Processor] = ()
) -> list[tuple[int, ...]]:
    """Continue each prefix with the likeliest tokens, as :func:`sample` does with drawn ones.

    Both follow the model's own distribution alone: penalties, bans and whatever else changes it in the checkpoint's
    ``generation_config`` play no part.

    Args:
        model: as there.
        tok: as there.
        prefixes: as there.
        length: as there.
        processors: what changes the scores of each next token before the likeliest is taken.
    """
    return _generate(model, tok, prefixes, length, {"do_sample": False}, processors)


@torch.no_grad()
def _generate(
    model: nn.Module,
    tok: Any,
    prefixes: Sequence[Sequence[int]],
    length: int,
    choice: dict[str, Any],
    processors: Sequence[Processor] = (),
) -> list[tuple[int, ...]]:
    from transformers import GenerationConfig

    if len(prefixes) > ROWS:
        parts = batches(prefixes, ROWS)
        return [text for part in parts for text in _generate(model, tok, part, length, choice, processors)]
    device = model.get_input_embeddings().weight.device
    width = max(map(len, prefixes))
    pad, ends = padding_id(model, tok), ends_of_text(model, tok)
    ids = torch.tensor([[pad] * (width - len(prefix)) + list(prefix) for prefix in prefixes], device=device)
    attention = torch.tensor([[0] * (width - len(prefix)) + [1] * len(prefix) for prefix in prefixes], device=device)
    config = GenerationConfig(
        max_new_tokens=length, pad_token_id=pad, eos_token_id=list(ends) or None, use_cache=True, **choice
    )
    with _evaluating(model), _without_own_settings(model):
        output = model.generate(
            input_ids=ids, attention_mask=attention, generation_config=config, logits_processor=list(processors)
        )
    return [until_end(row, ends) for row in output[:, width:].tolist()]


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


@contextmanager
def _without_own_settings(model: nn.Module) -> Iterator[None]:
    """No generation settings of the model's own: transformers takes from them what a call leaves open."""
    from transformers import GenerationConfig

    own = [(module, vars(module)["generation_config"]) for module in model.modules() if _has_settings(module)]
    try:
        for module, _ in own:
            module.generation_config = GenerationConfig()
        yield
    finally:
        for module, settings in own:
            module.generation_config = settings


def _has_settings(module: nn.Module) -> bool:
    return vars(module).get("generation_config") is not None
