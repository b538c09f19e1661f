"""Reinforcement by the model's own answers (Transformer², Sun et al. 2025, arXiv 2501.06252, eq. 1).

J = E[log p(ŷ | q) · (r(ŷ) − b)] − λ KL(p_0 ‖ p), for answers ŷ that the model draws as it is, a reward r of −1 to 1,
and a baseline b. log p is summed over an answer's tokens, as in the authors' code. Where every answer is wrong there is
nothing to follow but away from them: a fact that the model would never say is not found by trying.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from torch import nn

from easyedit_ice.requests import EditRequest
from easyedit_ice.text.rows import Row
from easyedit_ice.text.sampling import sample
from easyedit_ice.training.objectives import Objective, Term, fact_row

REWARDS = ("exact", "tokens")
BASELINES = ("none", "mean")


class Reinforce(Objective):
    """−log p(ŷ | q) · (r(ŷ) − b), and λ KL(p_0 ‖ p) on the same answers.

    Args:
        model: answers, as it is at each step.
        tok: its tokenizer.
        requests: the facts.
        append_eos: whether an answer must end after the target.
        answers: drawn for each fact at each step.
        length: their most tokens.
        temperature: of the drawing.
        reward: ``"exact"`` or ``"tokens"``.
        baseline: ``"none"`` or ``"mean"``.
        kl_weight: λ.
    """

    name = "answers"

    def __init__(
        self,
        model: nn.Module,
        tok: Any,
        requests: Sequence[EditRequest],
        *,
        append_eos: bool,
        answers: int,
        length: int,
        temperature: float,
        reward: str,
        baseline: str,
        kl_weight: float,
    ) -> None:
        self._model, self._tok = model, tok
        self._facts = [fact_row(tok, request, append_eos) for request in requests]
        self._answers, self._drawing = answers, {"length": length, "temperature": temperature}
        self._reward, self._baseline, self._kl_weight = reward, baseline, kl_weight

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """The answers of each fact, and how far each is from those of the unedited model."""
        chosen = [fact for fact in facts for _ in range(self._answers)]
        written = sample(self._model, self._tok, [self._prompt(fact) for fact in chosen], **self._drawing)
        drawn: dict[int, list[tuple[int, ...]]] = {fact: [] for fact in facts}
        for fact, answer in zip(chosen, written, strict=True):
            if answer:
                drawn[fact].append(answer)
        return [term for fact in facts for term in self._judged(fact, drawn[fact])]

    def _judged(self, fact: int, answers: Sequence[tuple[int, ...]]) -> list[Term]:
        rewards = [reward(answer, self._facts[fact].predicted, self._reward) for answer in answers]
        baseline = mean(rewards) if self._baseline == "mean" and rewards else 0.0
        found = []
        for answer, own in zip(answers, rewards, strict=True):
            row = Row((*self._prompt(fact), *answer), len(answer))
            found.append(Term(self.name, row, (own - baseline) * len(answer) / len(answers), fact))
            if self._kl_weight:
                found.append(Term(DIVERGENCE, row, self._kl_weight / len(answers), fact, row))
        return found

    def _prompt(self, fact: int) -> tuple[int, ...]:
        row = self._facts[fact]
        return row.ids[: len(row.ids) - row.span]


DIVERGENCE = "divergence"
"""Name of the divergence from the unedited model, in the course of a training."""


def reward(answer: Sequence[int], target: Sequence[int], kind: str) -> float:
    """−1 to 1: of an answer that should be the target, both as tokens."""
    right = 0
    for given, wanted in zip(answer, target, strict=False):
        if given != wanted:
            break
        right += 1
    share = right / len(target)
    return 2 * share - 1 if kind == "tokens" else 1.0 if share == 1 else -1.0
