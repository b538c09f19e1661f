"""Which of some texts are likest to a question: by the words they share, or by the directions of their embeddings."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import bm25s
import numpy as np
import torch
from torch import nn

from easyedit_ice.errors import MissingPackageError
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.tokens import tokens

BM25, OWN = "bm25", "own"
"""Names of ways to search: by words, and by the mean of the model's own last hidden states."""
_REMEMBERED = 4096
_STOP_WORDS = "en"

Embed = Callable[[str], np.ndarray]


class Search(Protocol):
    """Texts that are searched."""

    def scores(self, question: str) -> np.ndarray:
        """How like each text is to the question, higher for liker; 0 or less where nothing is alike."""
        ...


class ByWords:
    """BM25 in Lucene's form, English stop words left out, by the library ``bm25s``."""

    def __init__(self, texts: Sequence[str]) -> None:
        words = _words(texts)
        self._texts = len(texts)
        self._index: Any = None
        if any(words):
            self._index = bm25s.BM25()
            self._index.index(words, show_progress=False)

    def scores(self, question: str) -> np.ndarray:
        """BM25 of each text."""
        (words,) = _words([question])
        if self._index is None or not words:
            return np.zeros(self._texts)
        scores: np.ndarray = self._index.get_scores(words)
        return scores


class ByDirection:
    """Cosine similarity of embeddings.

    Args:
        texts: that are searched.
        embed: a text's embedding: (d,).
    """

    def __init__(self, texts: Sequence[str], embed: Embed) -> None:
        self._embed = embed
        self._texts = np.stack([_unit(embed(text)) for text in texts])

    def scores(self, question: str) -> np.ndarray:
        """Cosine of the angle between each text and the question."""
        cosines: np.ndarray = self._texts @ _unit(self._embed(question))
        return cosines


def searcher(name: str, model: nn.Module, tok: Tokenizer) -> Callable[[Sequence[str]], Search]:
    """What makes a search of texts.

    Args:
        name: ``bm25``, ``own``, or a model of sentence-transformers: a folder or a name on the hub.
        model: a causal language model, whose own hidden states ``own`` takes.
        tok: its tokenizer.

    Raises:
        MissingPackageError: a sentence encoder is asked for, and sentence-transformers is not installed.
    """
    if name == BM25:
        return ByWords
    embed = lru_cache(_REMEMBERED)(_mean_state(model, tok) if name == OWN else _sentences(name, model))
    return lambda texts: ByDirection(texts, embed)


def _mean_state(model: nn.Module, tok: Tokenizer) -> Embed:
    def embed(text: str) -> np.ndarray:
        ids = torch.tensor([tokens(tok, text)], device=embedding_weight(model).device)
        with preserved(model), torch.no_grad():
            model.eval()
            states = model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
        mean: np.ndarray = states[0].float().mean(0).cpu().numpy()
        return mean

    return embed


def _sentences(name: str, model: nn.Module) -> Embed:
    try:
        package = importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise MissingPackageError(
            f"searching with {name!r} needs sentence-transformers ({error}); install easyedit-ice[ike], or set "
            f"search: {BM25} or {OWN}"
        ) from None
    encoder = package.SentenceTransformer(name, device=str(next(model.parameters()).device))
    return lambda text: encoder.encode(text, show_progress_bar=False, convert_to_numpy=True)


def _words(texts: Sequence[str]) -> list[list[str]]:
    pieces: list[list[str]] = bm25s.tokenize(list(texts), stopwords=_STOP_WORDS, show_progress=False, return_ids=False)
    return pieces


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length else vector
