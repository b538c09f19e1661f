"""Whether a model ends its answers itself, or goes on writing until it is cut off."""

from __future__ import annotations

from torch import nn

from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.plain_facts import PLAIN_FACTS
from easyedit_ice.text.rows import prefix_ids
from easyedit_ice.text.sampling import write
from easyedit_ice.text.tokens import ends_of_text

PROMPTS = tuple(fact.prompt for fact in PLAIN_FACTS[::5])
LENGTH = 16
"""Most tokens of an answer that counts as ended."""
HALF = 0.5
"""Share of answers ended from which a model counts as one that ends them."""


def ends_answers(model: nn.Module, tok: Tokenizer, asking: Asking = PLAIN) -> bool:
    """Whether at least half of its greedy answers to plain prompts end within 16 tokens; looked at once.

    A model without an end of text, or whose context has no room for such an answer, does not.

    Args:
        model: before any edit, if it was not seen before; it is left as it was.
        tok: its tokenizer.
        asking: how prompts are put to it.
    """
    cache = baseline_of(model).tables["endings"]
    if asking not in cache:
        cache[asking] = _share_ended(model, tok, asking) >= HALF
    return bool(cache[asking])


def _share_ended(model: nn.Module, tok: Tokenizer, asking: Asking) -> float:
    ends, longest = ends_of_text(model, tok), ModelAnatomy(model).context_length
    asked = [prefix_ids(tok, asking.text(prompt)) for prompt in PROMPTS]
    asked = [ids for ids in asked if ids and (longest is None or len(ids) + LENGTH <= longest + 1)]
    if not ends or not asked:
        return 0.0
    return sum(text[-1] in ends for text in write(model, tok, asked, length=LENGTH)) / len(asked)
