"""Whether a model ends its answers itself, or goes on writing until it is cut off."""

from __future__ import annotations

from typing import Any

from torch import nn

from easyedit_ice.asking import PLAIN, Asking
from easyedit_ice.known import known
from easyedit_ice.text.plain_facts import PLAIN_FACTS
from easyedit_ice.text.rows import given
from easyedit_ice.text.sampling import write
from easyedit_ice.tokens import ends_of_text

PROMPTS = tuple(fact.prompt for fact in PLAIN_FACTS[::5])
LENGTH = 16
"""Most tokens of an answer that counts as ended."""
HALF = 0.5
"""Share of answers ended from which a model counts as one that ends them."""


def ends_answers(model: nn.Module, tok: Any, asking: Asking = PLAIN) -> bool:
    """Whether at least half of its greedy answers to plain prompts end within 16 tokens; looked at once.

    Args:
        model: before any edit, if it was not seen before; it is left as it was.
        tok: its tokenizer.
        asking: how prompts are put to it.
    """
    seen = known(model).found["endings"]
    if asking not in seen:
        ends = ends_of_text(model, tok)
        texts = write(model, tok, [given(tok, asking.text(prompt)) for prompt in PROMPTS], length=LENGTH)
        seen[asking] = sum(bool(text) and text[-1] in ends for text in texts) >= HALF * len(texts)
    return seen[asking]
