"""What to try next where an edit missed."""

from __future__ import annotations

from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.editors.choosing import others_than
from easyedit_ice.verdict.verdict import FEW_WORDINGS, Verdict


def advice(verdict: Verdict) -> tuple[str, ...]:
    """A sentence for each thing that is not as it should be; nothing where all is well."""
    name = verdict.algorithm if verdict.algorithm in ALGORITHMS else None
    hparams = ALGORITHMS[name].hparams_class if name else None
    with_subjects = all(fact.subject is not None for fact in verdict.facts)
    others = " or ".join(others_than(name, with_subjects))
    lines = []
    if not verdict.took:
        first = f"with {name}, {hparams.stronger}; or " if hparams else ""
        lines.append(f"{_missed(verdict)} not written: {first}take another algorithm ({others}).")
    if verdict.warnings:
        first = f"with {name}, {hparams.gentler}; or " if hparams else ""
        lines.append(f"It moves more than its facts: {first}take another algorithm ({others}).")
    elif verdict.took and verdict.wordings and _share(verdict) < FEW_WORDINGS:
        first = f"with {name}, {hparams.wider}" if hparams else f"take another algorithm ({others})"
        lines.append(f"It holds in few other wordings: {first}.")
    return tuple(lines)


def _missed(verdict: Verdict) -> str:
    missed = len(verdict.facts) - verdict.written
    return "The fact is" if len(verdict.facts) == 1 else f"{missed} of {len(verdict.facts)} facts are"


def _share(verdict: Verdict) -> float:
    rights = [wording.written for wording in verdict.wordings if not wording.kind.startswith("portability")]
    return sum(rights) / len(rights) if rights else 1.0
