"""Fluency: how varied the text is that a model writes after a prompt.

Edited models that repeat themselves score low. The measure is the weighted n-gram entropy of ROME's evaluation
(arXiv 2202.05262, section 3.4), of text that is drawn as EasyEdit's ``test_generation_quality`` draws it.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches_alike
from easyedit_ice.text.tokens import tokens

TOKENS = 100
"""Length of the text with its prompt."""
TOP_K = 5
BATCH = 64


def fluency(model: nn.Module, tok: Tokenizer, prompts: Sequence[str], *, seed: int) -> list[float]:
    """The n-gram entropy of a text that begins with each prompt, in bits.

    Args:
        model: a causal language model; it is left as it was.
        tok: its tokenizer.
        prompts: one text is drawn for each.
        seed: of the draws; each prompt starts from it, so that a text does not depend on the other prompts.
    """
    return [n_gram_entropy(words(text)) for text in sampled_texts(model, tok, prompts, seed=seed)]


def sampled_texts(model: nn.Module, tok: Tokenizer, prompts: Sequence[str], *, seed: int) -> list[str]:
    """Prompts continued to 100 tokens, each drawn among the five likeliest.

    Up to rounding these are the texts of the release's ``generate_fast`` for one prompt after
    ``torch.manual_seed(seed)``. The one of head lets models that are not named llama attend to nothing but the first
    token, since current transformers take its mask of the newest token for the mask of the whole text.
    """
    prefixes = [tokens(tok, prompt) for prompt in prompts]
    distinct = list(dict.fromkeys(prefixes))
    texts: dict[tuple[int, ...], str] = {}
    with preserved(model, tok), torch.no_grad():
        model.eval()
        for batch in batches_alike([len(prefix) for prefix in distinct], BATCH, most_padded=1):
            together = [distinct[index] for index in batch]
            texts |= zip(together, (_text(tok, ids) for ids in _continued(model, together, seed).tolist()), strict=True)
    return [texts[prefix] for prefix in prefixes]


def n_gram_entropy(words: Sequence[str]) -> float:
    """Mean of 2/3 of the entropy of the pairs of words and 4/3 of that of the triples, in bits."""
    pairs, triples = pairwise(words), zip(words, words[1:], words[2:], strict=False)
    return (2 / 3 * _entropy(Counter(pairs)) + 4 / 3 * _entropy(Counter(triples))) / 2


def words(text: str) -> list[str]:
    """The text's words and punctuation marks, split as :func:`word_splitter` says."""
    from nltk import word_tokenize

    pieces: list[str] = word_tokenize(text, preserve_line=word_splitter() == "treebank")
    return pieces


def word_splitter() -> str:
    """``"punkt+treebank"``, as in EasyEdit, where nltk's data ``punkt_tab`` is there; else ``"treebank"``.

    Without the data, full stops within the text stay with the word before them.
    """
    from nltk import data

    try:
        data.find("tokenizers/punkt_tab/english/")
    except LookupError:
        return "treebank"
    return "punkt+treebank"


def _continued(model: nn.Module, prefixes: Sequence[tuple[int, ...]], seed: int) -> Tensor:
    """Prefixes of one length with what is drawn after them, 100 tokens in all if they are no longer: (n, tokens)."""
    device = next(model.parameters()).device
    generators = [torch.Generator(device).manual_seed(seed) for _ in prefixes]
    ids = new = torch.tensor(prefixes, device=device)
    cache = None
    while ids.shape[1] < TOKENS:
        output = model(input_ids=new, attention_mask=torch.ones_like(ids), past_key_values=cache, use_cache=True)
        cache, new = output.past_key_values, _drawn(output.logits[:, -1], generators)
        ids = torch.cat([ids, new], 1)
    return ids


def _drawn(logits: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """A token for each text, drawn by its own generator among its likeliest: (n, 1)."""
    likeliest = logits.softmax(-1).topk(TOP_K)
    shares = likeliest.values / likeliest.values.sum(-1, keepdim=True)
    chosen = [torch.multinomial(row, 1, generator=g) for row, g in zip(shares, generators, strict=True)]
    return likeliest.indices.gather(1, torch.stack(chosen))


def _text(tok: Tokenizer, ids: Sequence[int]) -> str:
    text = unicodedata.normalize("NFKD", tok.decode(ids, skip_special_tokens=True))
    return text.replace("\n\n", " ").replace("<|endoftext|>", "")


def _entropy(counts: Counter[tuple[str, ...]]) -> float:
    shares = np.array(list(counts.values())) / max(1, counts.total())
    return float(-np.sum(shares * np.log2(shares)))
