"""Which questions a model answers right, found in batches and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.batching import batches
from easyedit_ice.runtime.cache import cache_root
from easyedit_ice.runtime.progress import progress
from easyedit_ice.runtime.untrusted import parsed_json
from easyedit_ice.text.chat import PLAIN, Asking
from easyedit_ice.text.likely_answers import Asked, asked_row, rows_right
from easyedit_ice.text.rows import Row

logger = logging.getLogger(__name__)

AT_A_TIME = 64
"""Questions asked before the cache is written."""


class Knowledge:
    """What an unedited model knows, each question asked once and kept in the cache by the hash of all weights.

    Args:
        model: a causal language model before any edit.
        tok: its tokenizer.
        asking: how questions are put to the model; by default as they are.
    """

    def __init__(self, model: nn.Module, tok: Tokenizer, asking: Asking = PLAIN) -> None:
        self._model, self._tok, self._asking = model, tok, asking
        self._path = cache_root() / "known" / f"{baseline_of(model).weights[:16]}.json"
        self._answers = _read(self._path)

    def __call__(self, questions: Sequence[Asked]) -> list[bool]:
        """Whether the model answers each of these, as :func:`~easyedit_ice.text.likely_answers.answers_right` says."""
        rows = {question: asked_row(self._tok, *question, self._asking) for question in questions}
        keys = {question: _key(row) for question, row in rows.items()}
        missing = {keys[question]: row for question, row in rows.items() if keys[question] not in self._answers}
        for chunk in batches(list(missing), AT_A_TIME):
            self._answers |= zip(chunk, rows_right(self._model, [missing[key] for key in chunk]), strict=True)
            self._keep()
        return [self._answers[keys[question]] for question in questions]

    def first(self, questions: Sequence[Asked], count: int | None) -> tuple[list[int], int]:
        """The first questions that the model answers right.

        Args:
            questions: asked in their order, some at a time.
            count: how many are wanted; none for all.

        Returns:
            their places, and how many questions were asked to find them.
        """
        places: list[int] = []
        asked = 0
        total = len(questions) if count is None else count
        with progress(logger, "looking for known facts", total, "fact") as advance:
            for chunk in batches(questions, AT_A_TIME):
                if count is not None and len(places) >= count:
                    break
                new = [asked + place for place, right in enumerate(self(chunk)) if right]
                places, asked = places + new, asked + len(chunk)
                advance(len(chunk) if count is None else len(new))
        return places[:count], asked

    def _keep(self) -> None:
        """Write the file anew, with what other processes have found since."""
        self._answers = _read(self._path) | self._answers
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(self._answers), encoding="utf-8")
        os.replace(partial, self._path)


def _key(row: Row) -> str:
    return hashlib.sha256(repr((row.ids, row.span)).encode()).hexdigest()[:24]


def _read(path: Path) -> dict[str, bool]:
    """What was found before; nothing where the file is not there or damaged, since it can be found anew."""
    try:
        content = parsed_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
