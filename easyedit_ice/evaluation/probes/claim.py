"""What is claimed of a subject, against what, and all that its probes are made of."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from easyedit_ice.evaluation.probes.wording import stated


@dataclass(frozen=True)
class Claim:
    """A fact that shall hold, with its surroundings.

    Attributes:
        prompt: text that the answer shall follow.
        answer: the right answer: after an edit the new one.
        rival: the answer that must not hold: after an edit the old one; none where it is not known.
        others: plausible answers that are neither.
        subject: what the fact is about; none where it is not known.
        other_subjects: plausible subjects that the fact is not about.
        back: by answer a text that the subject can follow, where the data have a rule for it; else the template's is
            asked.
        statements: sentences of other facts, without a full stop.
        seed: of the order of options.
    """

    prompt: str
    answer: str
    rival: str | None
    others: tuple[str, ...]
    subject: str | None = None
    other_subjects: tuple[str, ...] = ()
    back: Mapping[str, str] = field(default_factory=dict)
    statements: tuple[str, ...] = ()
    seed: str = "0"

    @property
    def statement(self) -> str:
        """The claim as a sentence, without a full stop."""
        return stated(self.prompt, self.answer)

    @property
    def wrong(self) -> tuple[str, ...]:
        """All answers that are not right, the rival first."""
        return (() if self.rival is None else (self.rival,)) + self.others

    @property
    def foil(self) -> str | None:
        """The wrong answer that matters most; none where there is none."""
        return next(iter(self.wrong), None)

    def of_old_facts(self) -> Claim | None:
        """The claim with its answers exchanged: what holds before any edit; none where that is not known."""
        if self.rival is None:
            return None
        return replace(self, answer=self.rival, rival=self.answer)

    def shuffled(self, what: str) -> random.Random:
        """A source of random numbers that depends on the seed, the fact and the purpose alone."""
        return random.Random(f"{self.seed} {what} {self.prompt}")
