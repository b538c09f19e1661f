"""Texts that stand before a fact while its value is sought, so that it holds after other text too.

ROME (arXiv 2202.05262, section 3.1) and MEMIT let the model write them.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.randomness import drawing
from easyedit_ice.text.sampling import sample
from easyedit_ice.text.tokens import tokens

OPENINGS = ("The", "Therefore", "Because", "I", "You")
"""How they begin, in turn, as in the authors' code."""
_LIKELIEST = 5


def context_prefixes(model: nn.Module, tok: Tokenizer, lengths: Sequence[Sequence[int]], seed: int) -> tuple[str, ...]:
    """The empty prefix, and texts of the model's own.

    Args:
        model: writes them, each token drawn among its five likeliest.
        tok: its tokenizer.
        lengths: pairs of a length in tokens and how many texts are to have it.
        seed: of the drawing; the process's random state stays as it was.

    Returns:
        texts to put a prompt after; the first is empty.
    """
    prefixes = [""]
    with drawing(seed):
        for length, count in lengths:
            begun = [tokens(tok, OPENINGS[index % len(OPENINGS)]) for index in range(count)]
            written = sample(model, tok, begun, length=length, top_k=_LIKELIEST)
            prefixes += [
                f"{tok.decode([*start, *ids], skip_special_tokens=True)}. "
                for start, ids in zip(begun, written, strict=True)
            ]
    return tuple(prefixes)
