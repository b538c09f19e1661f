"""Text to measure second moments on, by name.

Any text a model was trained on serves; FastMEMIT's authors take Wikipedia. Where nothing can be downloaded the model
writes its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from easyedit_ice.errors import DataError
from easyedit_ice.factworld import general_text, model_path
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.own_corpus import OWN_TEXTS, own_texts
from easyedit_ice.runtime.extras import require

AUTO, WORLD_TEXT, OWN_TEXT = "auto", "factworld", "samples"
"""Names of built-in text: the world's for the embedded model and the model's own for any other; the embedded world's;
what the model writes itself."""

_WORLD_DOCUMENTS = 1_000_000


@dataclass(frozen=True)
class TextSource:
    """Texts, in an order that is always the same.

    Attributes:
        name: for people.
        fingerprint: tells this text from any other, given the model's weights.
        read: starts from the first text.
    """

    name: str
    fingerprint: str
    read: Callable[[], Iterator[str]]

    def __iter__(self) -> Iterator[str]:
        return self.read()


def text_source(name: str | Iterable[str], model: nn.Module, tok: Tokenizer) -> TextSource:
    """The text of a name.

    Args:
        name: ``"auto"``, ``"factworld"`` or ``"samples"``; the path of a text file, with a text on each line, or of a
            folder of ``.txt`` files, each of them a text; a dataset of the Hugging Face hub, as ``"<name>"``,
            ``"<name>:<configuration>"`` or ``"<name>:<configuration>:<column>"``, read as a stream; or texts at hand,
            as an iterable or a ``datasets.Dataset``.
        model: writes ``"samples"``.
        tok: its tokenizer.

    Raises:
        DataError: there is no such text, or it cannot be read.
    """
    if not isinstance(name, str):
        return _texts_of("texts at hand", plain_texts(name))
    if name == AUTO:
        name = WORLD_TEXT if _is_embedded(model) else OWN_TEXT
    if name == WORLD_TEXT:
        return TextSource(name, name, lambda: general_text(_WORLD_DOCUMENTS, seed=1))
    if name == OWN_TEXT:
        return TextSource(name, f"{name} {OWN_TEXTS.format}", lambda: own_texts(model, tok))
    path = Path(name)
    if path.is_file():
        return _texts_of(name, [line for line in _content(path).splitlines() if line.strip()])
    if path.is_dir() and (files := sorted(path.glob("**/*.txt"))):
        return _texts_of(name, [text for file in files if (text := _content(file)).strip()])
    return TextSource(name, name, lambda: _streamed(name))


def _is_embedded(model: nn.Module) -> bool:
    return Path(str(getattr(model.config, "_name_or_path", ""))).name == model_path().name


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"it cannot be read ({error}); give a UTF-8 text file", str(path)) from error


def _texts_of(name: str, texts: Sequence[str]) -> TextSource:
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    return TextSource(name, digest, lambda: iter(texts))


def plain_texts(texts: Iterable[Any]) -> tuple[str, ...]:
    """Texts at hand, of an iterable of texts or of a ``datasets.Dataset``."""
    column = _text_column(getattr(texts, "column_names", None), "the dataset")
    return tuple(text if column is None else text[column] for text in texts)


def _streamed(name: str) -> Iterator[str]:
    """Texts of the training split of a dataset."""
    require("data", f"reading the dataset {name}")
    import datasets

    repository, _, rest = name.partition(":")
    configuration, _, column = rest.partition(":")
    try:
        rows = datasets.load_dataset(repository, configuration or None, split="train", streaming=True)
        chosen = column or _text_column(rows.column_names, name)
        yield from (row[chosen] for row in rows)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise DataError(
            f"no such file, folder or dataset can be read ({type(error).__name__}: {error}); give the path of a text "
            f"file, or {OWN_TEXT!r} to have the model write its own text",
            path=name,
        ) from error


def _text_column(columns: Any, name: str) -> str | None:
    """The column of texts; ``None`` if there are no columns."""
    if columns is None:
        return None
    if "text" in columns:
        return "text"
    if len(columns) == 1:
        return str(columns[0])
    raise DataError(
        f"it has the columns {', '.join(columns)}; name one, as <dataset>:<configuration>:<column>", path=name
    )
