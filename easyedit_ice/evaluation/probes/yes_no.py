"""Yes or no, asked of the new answer and of the old one: a model that always says yes is right in neither measure."""

from __future__ import annotations

from collections.abc import Sequence

from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.item import Item, LogProbs, Probe
from easyedit_ice.evaluation.probes.wording import is_clause, question_in, stated, within

ANSWERS = ("Yes", "No")


def _make(claim: Claim) -> tuple[Item, ...]:
    if claim.foil is None or not (question_in(claim.prompt) or is_clause(claim.prompt)):
        return ()
    asked = ((claim.answer, 0), (claim.foil, 1))
    texts = tuple(_whether(stated(claim.prompt.strip(), answer)) for answer, _ in asked)
    if not all(text.isprintable() for text in texts):
        return ()
    return tuple(Item(text, ANSWERS, right) for text, (_, right) in zip(texts, asked, strict=True))


def _whether(statement: str) -> str:
    return f"Question: Is it true that {within(statement)}? Answer:"


def _leans(_: Sequence[Item], log_probs: LogProbs) -> bool:
    of_new, of_old = (yes - no for yes, no in log_probs)
    return of_new > of_old


YES_NO = Probe(
    "yes_no",
    "whether the new fact is true, and whether the old one is",
    "yes is likelier than no of the new fact, and no than yes of the old one: both, or it does not count",
    1 / 4,
    _make,
)
LEANING = Probe(
    "leaning",
    "the same two questions",
    "yes is likelier, measured against no, of the new fact than of the old one, whatever the model leans to",
    1 / 2,
    _make,
    _leans,
)
