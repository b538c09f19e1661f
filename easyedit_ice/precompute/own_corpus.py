"""Text the model writes itself: what it takes for likely, with no file and no download.

It is written once for a model and kept in the cache, by the hash of the weights.

Shapes: n rows, v the vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.errors import DataError
from easyedit_ice.model.baseline import as_first_seen, baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.cache import made_once
from easyedit_ice.runtime.store import Store
from easyedit_ice.text.sampling import write
from easyedit_ice.text.tokens import beginning

ROWS, LENGTH = 64, 64
"""Texts that are written side by side, and most tokens of each."""
OWN_TEXTS = Store(
    name="own_texts",
    format="2",
    remedy="or run `easyedit-ice internals stats clear`, to have it written again",
    pattern="*/*.json",
)
"""All texts that models wrote; the format changes when other texts would be written."""


def own_texts(model: nn.Module, tok: Tokenizer) -> Iterator[str]:
    """Texts the model writes, without end, and the same each time.

    Args:
        model: as it was when it was first seen, if it was seen before.
        tok: its tokenizer.

    Raises:
        DamagedFileError: a file of the cache is damaged.
        DataError: all texts of a turn are empty, as all others may be.
    """
    folder = OWN_TEXTS.folder / f"{baseline_of(model).weights[:24]}-{OWN_TEXTS.format}"
    for turn in count():
        path = folder / f"{turn}.json"
        if path.exists() or as_first_seen(model):
            made_once(path, partial(_store_turn, model, tok, turn))
            texts = OWN_TEXTS.read_json(path, _texts)
        else:
            texts = _written(model, tok, turn)
        if not any(texts):
            raise DataError(
                f"the model writes nothing: it ended each of {ROWS} texts before a word; name other text by "
                "mom2_dataset, such as a file, or 'factworld'",
                str(path),
            )
        yield from texts


def _store_turn(model: nn.Module, tok: Tokenizer, turn: int, path: Path) -> None:
    _store(path, _written(model, tok, turn))


def _store(path: Path, texts: list[str]) -> None:
    path.write_text(json.dumps(texts), encoding="utf-8")


def _texts(content: Any) -> list[str]:
    if not isinstance(content, list) or len(content) != ROWS or not all(isinstance(text, str) for text in content):
        raise ValueError(f"{ROWS} texts are expected")
    return content


def _written(model: nn.Module, tok: Tokenizer, turn: int) -> list[str]:
    what = f"the model writes texts {turn * ROWS + 1} to {(turn + 1) * ROWS}"
    rows = write(model, tok, [(beginning(model, tok),)] * ROWS, length=LENGTH, processors=[_Drawing(turn)], told=what)
    return [tok.decode(row, skip_special_tokens=True) for row in rows]


class _Drawing:
    """Draws each token from the model's distribution, and leaves the likeliest-token search no other choice.

    By one uniform number for a row, where transformers' own sampling draws one for each word of the vocabulary: with
    262,144 words that takes longer than the model.
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (n, v) of which all but the drawn ones are -inf."""
        mass = scores.float().softmax(-1).cumsum(-1)
        level = torch.rand(len(scores), 1, generator=self._generator).to(mass) * mass[:, -1:]
        drawn = torch.searchsorted(mass, level).clamp(max=scores.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)
