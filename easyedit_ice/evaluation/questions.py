"""The questions that score a fact, each under the name of what it measures."""

from __future__ import annotations

from dataclasses import dataclass

from easyedit_ice.edit.fact_probes import Probe
from easyedit_ice.edit.request import EditRequest


@dataclass(frozen=True)
class Question:
    """One scored question.

    Attributes:
        measure: ``rewrite``, ``rephrase``, ``portability.<kind>`` or ``locality.<kind>``.
        prompt: the text before the answer.
        answer: what teacher forcing puts after it.
        aliases: all texts that count as the answer when the model writes freely.
        other: the answer it shall be likelier than: the old one for what shall change, the new one for what shall
            stay; none if it is unknown, or the same.
    """

    measure: str
    prompt: str
    answer: str
    aliases: tuple[str, ...]
    other: str | None = None

    @property
    def keeps(self) -> bool:
        """Whether the answer must stay as it was before the edit, rather than be a given one."""
        return self.measure.startswith("locality.")


def questions(request: EditRequest) -> tuple[Question, ...]:
    """All questions of a fact: its prompt, the same in other words, and its probes."""
    target, old = request.target_new.strip(), request.ground_truth
    other = old.strip() if old and old.strip() and old.strip() != target else None
    result = [Question("rewrite", request.prompt, target, (target,), other)]
    if request.rephrase_prompt is not None:
        result.append(Question("rephrase", request.rephrase_prompt, target, (target,), other))
    for section in ("portability", "locality"):
        for kind, probes in getattr(request, section).items():
            result += [_question(f"{section}.{kind}", probe, target) for probe in probes]
    return tuple(result)


def _question(measure: str, probe: Probe, target: str) -> Question:
    aliases = tuple(alias for answer in probe.answers for alias in answer)
    competes = measure.startswith("locality.") and probe.answer.strip() and probe.answer.strip() != target
    return Question(measure, probe.prompt, probe.answer, aliases, target if competes else None)
