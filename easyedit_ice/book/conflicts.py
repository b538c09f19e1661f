"""What is wrong with having some edits in one model, said before they are in it.

Whether one edit disturbs another is measured on the weights alone: by what it writes for what the other one reads,
‖ΔW' ΔWᵀ‖ / ‖ΔW ΔWᵀ‖, Frobenius norms over all matrices. docs/book.md has the trial from which the threshold follows.
Of edits with gates it is ‖g'(K)‖ / ‖g(K)‖, what they write for the keys K of the other one's facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, Protocol

import torch

from easyedit_ice.book.edits import Edit
from easyedit_ice.edit.delta import Delta, LowRankDelta
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate

DISTURBED = 0.5
"""Share of an edit's own writing from which another edit is taken to disturb it."""

Kind = Literal["contradiction", "repeat", "overlap", "base"]


class NamedFacts(Protocol):
    """Facts under a name, such as an edit of a book."""

    @property
    def name(self) -> str:
        """By which a conflict names them."""

    @property
    def facts(self) -> tuple[EditRequest, ...]:
        """What is to follow what."""


@dataclass(frozen=True)
class Conflict:
    """A reason for which two edits may not go together.

    Attributes:
        kind: ``contradiction``: one question, two targets. ``repeat``: one fact twice. ``overlap``: one disturbs the
            other. ``base``: they were made on different weights, and change the same matrix.
        edits: names of the two.
        what: in words.
        share: for an overlap, the greater of the two shares by which one disturbs the other.
    """

    kind: Kind
    edits: tuple[str, str]
    what: str
    share: float | None = None

    def __str__(self) -> str:
        return f"{self.edits[0]} and {self.edits[1]}: {self.what}"


def conflicts(edits: Sequence[Edit]) -> tuple[Conflict, ...]:
    """All conflicts of some edits, those of facts first."""
    return (*_of_facts(edits), *_of_weights(edits))


def contradictions(edits: Sequence[NamedFacts]) -> tuple[Conflict, ...]:
    """Questions with two targets; the weights are not read."""
    return tuple(conflict for conflict in _of_facts(edits) if conflict.kind == "contradiction")


def disturbance(by: WeightUpdate, of: WeightUpdate) -> float:
    """What one update writes for what another one reads, as a share of what that writes for it itself."""
    shared = [name for name in of.deltas if name in by.deltas and by.deltas[name].shape == of.deltas[name].shape]
    gated = [name for name in shared if by.deltas[name].beside and of.deltas[name].beside and name in of.keys]
    if gated:
        wrote, own = (torch.cat([update.deltas[name].apply(of.keys[name]) for name in gated]) for update in (by, of))
        return float(wrote.norm() / own.norm().clamp(min=torch.finfo(own.dtype).tiny))
    norm = sum(_crossed(delta, delta) for delta in of.deltas.values())
    return (sum(_crossed(by.deltas[name], of.deltas[name]) for name in shared) / norm) ** 0.5 if norm else 0.0


def _of_facts(edits: Sequence[NamedFacts]) -> list[Conflict]:
    said: dict[str, dict[str, tuple[str, EditRequest]]] = {}
    for edit in edits:
        for fact in edit.facts:
            for question in _questions(fact):
                said.setdefault(question, {}).setdefault(edit.name, (edit.name, fact))
    conflicts: dict[tuple[str, str], Conflict] = {}
    for answers in said.values():
        for (one, fact), (other, later) in combinations(answers.values(), 2):
            conflicts.setdefault((one, other), _compared(one, fact, other, later))
    return list(conflicts.values())


def _questions(fact: EditRequest) -> set[str]:
    """The prompt and its rephrase, whatever their case and spacing."""
    asked = [fact.prompt] if fact.rephrase_prompt is None else [fact.prompt, fact.rephrase_prompt]
    return {" ".join(prompt.split()).casefold() for prompt in asked}


def _compared(one: str, fact: EditRequest, other: str, later: EditRequest) -> Conflict:
    first, second = fact.target_new.strip(), later.target_new.strip()
    if first == second:
        return Conflict("repeat", (one, other), f"both write that {fact.prompt!r} is followed by {first!r}")
    return Conflict("contradiction", (one, other), f"{fact.prompt!r} is followed by {first!r}, or by {second!r}")


def _of_weights(edits: Sequence[Edit]) -> list[Conflict]:
    conflicts = []
    for one, other in combinations(edits, 2):
        shared = sorted(one.update.deltas.keys() & other.update.deltas.keys())
        if not shared:
            continue
        bases = [None if edit.base is None else edit.base.fingerprint for edit in (one, other)]
        if bases[0] != bases[1]:
            what = f"both change {shared[0]}, and were made on the weights {bases[0]} and {bases[1]}"
            conflicts.append(Conflict("base", (one.name, other.name), what))
        share, disturbed, by = max(
            (disturbance(other.update, one.update), one.name, other.name),
            (disturbance(one.update, other.update), other.name, one.name),
        )
        if share >= DISTURBED:
            what = f"on what {disturbed} reads, {by} writes {share:.0%} as much as {disturbed} does, and may undo it"
            conflicts.append(Conflict("overlap", (one.name, other.name), what, share))
    return conflicts


def _crossed(one: Delta, other: Delta) -> float:
    """‖ΔW ΔW'ᵀ‖², through the factors if both have them."""
    if isinstance(one, LowRankDelta) and isinstance(other, LowRankDelta):
        between = one.a.double() @ other.a.double().T
        left, right = one.b.double().T @ one.b.double(), other.b.double().T @ other.b.double()
        return max((left @ between @ right * between).sum().item(), 0.0)
    return float((one.matrix() @ other.matrix().T).norm().item() ** 2)
