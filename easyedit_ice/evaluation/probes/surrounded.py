"""The choice of four answers after other text: beside the point, against the fact, or long."""

from __future__ import annotations

from easyedit_ice.evaluation.probes.choice import OPTIONS, chosen_after
from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.item import Item, Probe
from easyedit_ice.evaluation.probes.wording import stated

FEW = 2
"""Sentences of irrelevant context."""
WORDS = 150
"""Words of long text, at least, where there are so many sentences."""


def _irrelevant(claim: Claim) -> tuple[Item, ...]:
    return _after(claim, claim.statements[:FEW])


def _contradicting(claim: Claim) -> tuple[Item, ...]:
    if claim.foil is None:
        return ()
    return _after(claim, [f"Some people say: {stated(claim.prompt, claim.foil)}"])


def _long(claim: Claim) -> tuple[Item, ...]:
    sentences: list[str] = []
    words = 0
    for sentence in claim.statements:
        if words >= WORDS:
            break
        sentences.append(sentence)
        words += len(sentence.split())
    return _after(claim, sentences)


def _after(claim: Claim, sentences: list[str] | tuple[str, ...]) -> tuple[Item, ...]:
    if not sentences:
        return ()
    return chosen_after(claim, " ".join(f"{sentence}." for sentence in sentences) + f" {claim.prompt}")


_RIGHT = "the new answer is the likeliest of the four"

IRRELEVANT = Probe("irrelevant", f"choice, after {FEW} sentences about others", _RIGHT, 1 / OPTIONS, _irrelevant)
CONTRADICTING = Probe(
    "contradicting",
    "choice, after a sentence by which some people say that the old answer holds",
    _RIGHT,
    1 / OPTIONS,
    _contradicting,
)
LONG = Probe("long", f"choice, after some {WORDS} words about others", _RIGHT, 1 / OPTIONS, _long)
