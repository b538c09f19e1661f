"""Which questions a model answers right, found in batches and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from easyedit_ice.cache import cache_root
from easyedit_ice.evaluation.lines import Line, read
from easyedit_ice.known import known
from easyedit_ice.preserve import preserved
from easyedit_ice.text.rows import Row, encode

Asked = tuple[str, str]
"""A prompt, and the answer that a space parts from it."""
AT_A_TIME = 256
"""Questions asked before the cache is written."""


def answers_right(model: nn.Module, tok: Any, questions: Sequence[Asked]) -> list[bool]:
    """Whether each token of each answer is the likeliest after the prompt and those before it: greedy, exact.

    Rows of like length run side by side, and logits are worked out at the answers' places alone.

    Args:
        model: a causal language model; it is left as it was.
        tok: its tokenizer.
        questions: prompts with their answers.
    """
    return _ask(model, [_row(tok, *question) for question in questions])


class Knowledge:
    """What an unedited model knows, each question asked once and kept in the cache by the hash of all weights.

    Args:
        model: a causal language model before any edit.
        tok: its tokenizer.
        progress: whether to show a bar while the model is asked.
    """

    def __init__(self, model: nn.Module, tok: Any, progress: bool = False) -> None:
        self._model, self._tok, self._progress = model, tok, progress
        self._path = cache_root() / "known" / f"{known(model).weights[:16]}.json"
        self._found = _read(self._path)

    def __call__(self, questions: Sequence[Asked]) -> list[bool]:
        """Whether the model answers each of these, as :func:`answers_right` says."""
        rows = {question: _row(self._tok, *question) for question in questions}
        keys = {question: _key(row) for question, row in rows.items()}
        missing = {keys[question]: row for question, row in rows.items() if keys[question] not in self._found}
        for chunk in _chunks(list(missing)):
            self._found |= zip(chunk, _ask(self._model, [missing[key] for key in chunk]), strict=True)
            self._keep()
        return [self._found[keys[question]] for question in questions]

    def first(self, questions: Sequence[Asked], count: int | None) -> tuple[list[int], int]:
        """The first questions that the model answers right.

        Args:
            questions: asked in their order, some at a time.
            count: how many are wanted; none for all.

        Returns:
            their places, and how many questions were asked to find them.
        """
        found: list[int] = []
        asked = 0
        total = len(questions) if count is None else count
        with tqdm(total=total, desc="known facts", unit="fact", disable=not self._progress) as bar:
            for chunk in _chunks(questions):
                if count is not None and len(found) >= count:
                    break
                new = [asked + place for place, right in enumerate(self(chunk)) if right]
                found, asked = found + new, asked + len(chunk)
                bar.update(len(chunk) if count is None else len(new))
        return found[:count], asked

    def _keep(self) -> None:
        """Write the file anew, with what other processes have found since."""
        self._found = _read(self._path) | self._found
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(self._found), encoding="utf-8")
        os.replace(partial, self._path)


def _ask(model: nn.Module, rows: Sequence[Row]) -> list[bool]:
    with preserved(model), torch.no_grad():
        model.eval()
        lines = [_line(row) for row in rows]
        readings = read(model, ("input_ids", "attention_mask"), (0, 0), lines)
    return [
        all(found[place].token == token for place, token in line.places)
        for line, found in zip(lines, readings, strict=True)
    ]


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), AT_A_TIME):
        yield items[start : start + AT_A_TIME]


def _row(tok: Any, prompt: str, answer: str) -> Row:
    return encode(tok, prompt.rstrip(), f" {answer.strip()}")


def _line(row: Row) -> Line:
    """The row without its last token, read where an answer's token comes next."""
    first = max(1, len(row.ids) - row.span)
    places = tuple((place - 1, row.ids[place]) for place in range(first, len(row.ids)))
    return Line(tuple((token, 1) for token in row.ids[:-1]), places)


def _key(row: Row) -> str:
    return hashlib.sha256(repr((row.ids, row.span)).encode()).hexdigest()[:24]


def _read(path: Path) -> dict[str, bool]:
    """What was found before; nothing where the file is not there or damaged, since it can be found anew."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
