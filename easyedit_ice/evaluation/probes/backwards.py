"""The fact asked the other way round: from the answer to the subject."""

from __future__ import annotations

from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.item import Item, Probe
from easyedit_ice.evaluation.probes.wording import blanked

_OTHERS = 2


def _make(claim: Claim) -> tuple[Item, ...]:
    others = claim.other_subjects[:_OTHERS]
    if claim.subject is None or not others:
        return ()
    prompt = claim.back.get(claim.answer) or _filled_in(claim)
    return () if prompt is None else (Item(prompt, (claim.subject, *others), 0),)


def _filled_in(claim: Claim) -> str | None:
    statement = blanked(claim.prompt, claim.answer, claim.subject) if claim.subject else None
    return None if statement is None else f"Fill in the blank: {statement}.\nAnswer:"


REVERSED = Probe(
    "reversed",
    "which of three subjects the new answer belongs to",
    "the fact's own subject is the likeliest",
    1 / (1 + _OTHERS),
    _make,
)
