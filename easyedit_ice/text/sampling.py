"""Let a model write."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.pretrained import embedding_weight, pretrained
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches
from easyedit_ice.runtime.progress import progress
from easyedit_ice.runtime.randomness import generator_on
from easyedit_ice.text.tokens import ends_of_text, padding_id, until_end

logger = logging.getLogger(__name__)

ROWS = 256
"""Most texts written side by side."""

Processor = Callable[[Tensor, Tensor], Tensor]
"""Tokens so far (n, t) and scores of the next one (n, v) -> other scores, as transformers' logits processors."""


def sample(
    model: nn.Module,
    tok: Tokenizer,
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
    return _within_context(model, tok, prefixes, length, [_Sampler(temperature, top_k)], "drawing texts")


def write(
    model: nn.Module,
    tok: Tokenizer,
    prefixes: Sequence[Sequence[int]],
    *,
    length: int,
    processors: Sequence[Processor] = (),
    told: str = "writing texts",
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
        told: what is being done, for those who watch its progress.
    """
    return _within_context(model, tok, prefixes, length, processors, told)


def _within_context(
    model: nn.Module,
    tok: Tokenizer,
    prefixes: Sequence[Sequence[int]],
    length: int,
    processors: Sequence[Processor],
    told: str,
) -> list[tuple[int, ...]]:
    """No more than the model's context has room for, where a text's last token is not read; like room side by side."""
    longest = ModelAnatomy(model).context_length
    room = [length if longest is None else min(length, longest + 1 - len(prefix)) for prefix in prefixes]
    written: list[tuple[int, ...]] = [()] * len(prefixes)
    groups = {most: [i for i, count in enumerate(room) if count == most] for most in set(room) if most > 0}
    total = sum(most * math.ceil(len(alike) / ROWS) for most, alike in groups.items())
    with progress(logger, told, total, "step") as advance:
        for most, alike in sorted(groups.items(), reverse=True):
            counted: list[Processor] = [_Counted(advance), *processors]
            texts = _generate(model, tok, [prefixes[index] for index in alike], most, counted)
            for index, text in zip(alike, texts, strict=True):
                written[index] = text
    return written


_COLDEST = 1e-6
"""Temperature at which the likeliest token is all but certain; divided by less, scores would be infinite."""


class _Sampler:
    """Draws each token as transformers does, from the generator of the edit, and leaves the likeliest no choice."""

    def __init__(self, temperature: float, top_k: int) -> None:
        self._temperature, self._top_k = max(temperature, _COLDEST), top_k

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (n, v) of which all but the drawn ones are -inf."""
        warmed = scores / self._temperature
        if self._top_k:
            least = warmed.topk(min(self._top_k, warmed.shape[-1])).values[:, -1:]
            warmed = warmed.masked_fill(warmed < least, -torch.inf)
        drawn = torch.multinomial(warmed.softmax(-1), 1, generator=generator_on(scores.device))
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)


class _Counted:
    """Counts the tokens drawn side by side, and changes nothing."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._advance(1)
        return scores


@torch.no_grad()
def _generate(
    model: nn.Module,
    tok: Tokenizer,
    prefixes: Sequence[Sequence[int]],
    length: int,
    processors: Sequence[Processor],
) -> list[tuple[int, ...]]:
    from transformers import GenerationConfig

    if len(prefixes) > ROWS:
        parts = batches(prefixes, ROWS)
        return [text for part in parts for text in _generate(model, tok, part, length, processors)]
    device = embedding_weight(model).device
    width = max(map(len, prefixes))
    pad, ends = padding_id(model, tok), ends_of_text(model, tok)
    ids = torch.tensor([[pad] * (width - len(prefix)) + list(prefix) for prefix in prefixes], device=device)
    attention = torch.tensor([[0] * (width - len(prefix)) + [1] * len(prefix) for prefix in prefixes], device=device)
    config = GenerationConfig(
        max_new_tokens=length, pad_token_id=pad, eos_token_id=list(ends) or None, use_cache=True, do_sample=False
    )
    with _evaluating(model), _without_own_settings(model):
        output = cast("Any", model).generate(
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

    settings_before = [
        (module, vars(module)["generation_config"]) for module in model.modules() if _has_settings(module)
    ]
    try:
        for module, _ in settings_before:
            pretrained(module).generation_config = GenerationConfig()
        yield
    finally:
        for module, settings in settings_before:
            pretrained(module).generation_config = settings


def _has_settings(module: nn.Module) -> bool:
    return vars(module).get("generation_config") is not None
