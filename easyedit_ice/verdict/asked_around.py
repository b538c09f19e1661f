"""What a verdict asks besides a fact: openings before it, and other names in its subject's place.

Both come from a few texts that the model writes itself, once, before any edit; they are kept in the cache by the hash
of its weights. They are drawn apart from the texts that algorithms train on: no one marks their own work.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from torch import nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.neighbours import names_in
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.cache import made_once
from easyedit_ice.runtime.randomness import seeded
from easyedit_ice.runtime.store import Store
from easyedit_ice.text.plain_facts import PLAIN_FACTS
from easyedit_ice.text.prefixes import OPENINGS
from easyedit_ice.text.sampling import sample
from easyedit_ice.text.subjects import mentions, renamed
from easyedit_ice.text.tokens import beginning, tokens

FORMAT = "1"
"""Changes when other texts would be written."""
_TEXTS = Store("verdicts", FORMAT, "to have the model write it again", "*.json")
_SEED = 20_241
_FREE, _LENGTH = 16, 12
"""Texts that begin with nothing, and most tokens of every text."""


@dataclass(frozen=True)
class OwnText:
    """What a model wrote.

    Attributes:
        openings: sentences to put before a prompt.
        names: written with capital letters, in the order of their coming.
    """

    openings: tuple[str, ...]
    names: tuple[str, ...]


def own_text(model: nn.Module, tok: Tokenizer) -> OwnText:
    """The texts of a model, written when they are first asked for.

    Args:
        model: before any edit, and in evaluation mode.
        tok: its tokenizer.

    Raises:
        DamagedFileError: they were kept, and cannot be read.
    """
    baseline = baseline_of(model)
    cache = baseline.tables["verdict"]
    if FORMAT not in cache:
        path = _TEXTS.folder / f"{baseline.weights[:24]}-{FORMAT}.json"
        made_once(path, lambda path: _write_to(path, model, tok))
        cache[FORMAT] = _TEXTS.read_json(path, _checked_texts)
    texts: OwnText = cache[FORMAT]
    return texts


def _checked_texts(texts: Any) -> OwnText:
    if not all(isinstance(text, str) for kind in ("openings", "free") for text in texts[kind]):
        raise ValueError("lists of texts are expected")
    openings = tuple(f"{text}. " for text in texts["openings"])
    return OwnText(openings, tuple(names_in([*texts["free"], *texts["openings"]])))


def other_names(text: OwnText, edited: Collection[str], count: int) -> list[str]:
    """Names to put in a subject's place: the model's own in turn with those of well-known things.

    Args:
        text: what the model wrote.
        edited: subjects of facts, which may change.
        count: most names.
    """
    well_known = _spread(list(dict.fromkeys(fact.subject for fact in PLAIN_FACTS)), count)
    both = chain.from_iterable(zip_longest(text.names, well_known))
    others = (name for name in dict.fromkeys(both) if name and not any(name in s or s in name for s in edited))
    return list(others)[:count]


def with_name(request: EditRequest, name: str) -> EditRequest | None:
    """The same question about something else; none where the prompt does not mention its subject."""
    if request.subject is None or not mentions(request.prompt, request.subject):
        return None
    return EditRequest(renamed(request.prompt, request.subject, name), request.target_new, name, asking=request.asking)


def _spread(items: Sequence[str], count: int) -> list[str]:
    """Some of the items, from the whole of the list."""
    count = min(count, len(items))
    return [items[place * len(items) // count] for place in range(count)]


def _write_to(path: Path, model: nn.Module, tok: Tokenizer) -> None:
    begun = [tokens(tok, text) for text in OPENINGS]
    with seeded(_SEED, model):
        written = sample(model, tok, [*[(beginning(model, tok),)] * _FREE, *begun], length=_LENGTH)
    free = [tok.decode(ids, skip_special_tokens=True) for ids in written[:_FREE]]
    opened = zip(begun, written[_FREE:], strict=True)
    openings = [tok.decode([*start, *ids], skip_special_tokens=True).strip() for start, ids in opened]
    path.write_text(json.dumps({"free": free, "openings": openings}), encoding="utf-8")
