"""The fact negated: an edit that only makes the new answer likely after such words makes it likely here too."""

from __future__ import annotations

from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.item import Item, Probe
from easyedit_ice.evaluation.probes.wording import negated


def _make(claim: Claim) -> tuple[Item, ...]:
    text = negated(claim.prompt, claim.subject)
    if claim.foil is None or text is None:
        return ()
    return (Item(text, (claim.answer, claim.foil), 1),)


NEGATION = Probe(
    "negation",
    'what the fact\'s answer is not ("The capital of France is not")',
    "the old answer is likelier than the new one, which now holds",
    1 / 2,
    _make,
)
