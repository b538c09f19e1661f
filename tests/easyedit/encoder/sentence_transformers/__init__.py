"""A stand-in for the package of this name, with as much of it as EasyEdit's IKE uses: it counts letters."""

from __future__ import annotations

from typing import Any

import numpy
import torch

from . import util

__all__ = ["SentenceTransformer", "util"]


class SentenceTransformer:
    """Encodes a sentence as the counts of its characters."""

    def __init__(self, name: str) -> None:
        self.name = name

    def to(self, device: Any) -> SentenceTransformer:
        torch.device(device)
        return self

    def encode(self, sentences: str | list[str], show_progress_bar: bool = False) -> numpy.ndarray:
        if isinstance(sentences, str):
            return self.encode([sentences])[0]
        counts = [[text.lower().count(chr(code)) for code in range(97, 123)] for text in sentences]
        return numpy.array(counts, dtype="float32")
