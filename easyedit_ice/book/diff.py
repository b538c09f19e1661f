"""In what two edits differ: facts, settings, and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from easyedit_ice.book.conflicts import disturbance
from easyedit_ice.book.edits import Edit
from easyedit_ice.edit.request import EditRequest

Fact = tuple[str, str]
"""A prompt and its target."""


@dataclass(frozen=True)
class Difference:
    """What tells two edits apart.

    Attributes:
        facts: those of the first alone, of both, and of the second alone.
        settings: the algorithm and each setting that differs, with both values; ``None`` where one has no such.
        modules: module path -> Frobenius norms of both deltas, and their cosine; 0 where one has none.
        disturbances: what the first writes for what the second one reads, as a share of that one's own writing; and the
            other way round.
    """

    facts: tuple[tuple[Fact, ...], tuple[Fact, ...], tuple[Fact, ...]]
    settings: Mapping[str, tuple[Any, Any]]
    modules: Mapping[str, tuple[float, float, float]]
    disturbances: tuple[float, float]


def difference(a: Edit, b: Edit) -> Difference:
    """Compare two edits."""
    mine, yours = (dict.fromkeys(_fact(fact) for fact in edit.facts) for edit in (a, b))
    ours, theirs = ({"algorithm": edit.algorithm} | dict(edit.info.get("hparams", {})) for edit in (a, b))
    names = dict.fromkeys([*a.update.deltas, *b.update.deltas])
    return Difference(
        facts=(
            tuple(fact for fact in mine if fact not in yours),
            tuple(fact for fact in mine if fact in yours),
            tuple(fact for fact in yours if fact not in mine),
        ),
        settings={
            name: (ours.get(name), theirs.get(name))
            for name in dict.fromkeys([*ours, *theirs])
            if ours.get(name) != theirs.get(name)
        },
        modules={name: _compared(a, b, name) for name in names},
        disturbances=(disturbance(a.update, b.update), disturbance(b.update, a.update)),
    )


def _fact(fact: EditRequest) -> Fact:
    return fact.prompt, fact.target_new.strip()


def _compared(a: Edit, b: Edit, name: str) -> tuple[float, float, float]:
    one, other = a.update.deltas.get(name), b.update.deltas.get(name)
    norms = (0.0 if one is None else one.norm(), 0.0 if other is None else other.norm())
    if one is None or other is None or one.shape != other.shape or not all(norms):
        return (*norms, 0.0)
    return (*norms, (one.matrix() * other.matrix()).sum().item() / (norms[0] * norms[1]))
