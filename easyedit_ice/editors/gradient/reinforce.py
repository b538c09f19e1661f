"""Reinforcement by the model's own answers (Transformer², Sun et al. 2025, arXiv 2501.06252, eq. 1).

J = E[log p(ŷ | q) · (r(ŷ) − b)] − λ KL(p_0 ‖ p), for answers ŷ that the model draws as it is, a reward r of −1 to 1,
and a baseline b. log p is summed over an answer's tokens, as in the authors' code. Where every answer is wrong there is
nothing to follow but away from them: a fact that the model would never say is not found by trying.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from torch import nn

from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.gradient.adapters import Adapter
from easyedit_ice.editors.gradient.objectives import TARGET, Edit, Objective, ObjectiveSettings, Term, fact_row
from easyedit_ice.model.activation_memory import Pass
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.rows import Row
from easyedit_ice.text.sampling import sample

REWARDS = ("exact", "tokens")
BASELINES = ("none", "mean")


@dataclass
class ReinforceSettings(ObjectiveSettings):
    """Of reinforcement by the model's own answers."""

    answers: int = setting(16, "answers drawn for each fact at each step", low=1)
    answer_length: int = setting(12, "their most tokens", low=1)
    answer_temperature: float = setting(1.0, "temperature of the drawing", above=0)
    reward: str = setting(
        "exact",
        "1 for the target and -1 for anything else; or the share of the target's tokens that an answer begins with, "
        "from -1 to 1",
        choices=REWARDS,
    )
    reward_baseline: str = setting(
        "mean", "taken off a fact's rewards: nothing, or their mean over its answers", choices=BASELINES
    )
    reinforce_kl_weight: float = setting(0.1, "weight of the divergence from the unedited model on the answers", low=0)

    target_weight = 0.0

    def build_objectives(self, edit: Edit, adapter: Adapter) -> list[Objective]:
        """The answers, in place of the targets."""
        return [Reinforce(edit.model, edit.tok, edit.requests, self, append_eos=edit.append_eos)]

    def pass_of_a_fact(self, tokens: int) -> Pass:
        """All answers, each with its prompt."""
        answered = self.answers * self.answer_length
        return Pass(self.answers * (tokens - TARGET + self.answer_length), answered, answered)

    def drawing(self, facts: int, tokens: int) -> tuple[int, int]:
        """The answers of all facts."""
        return facts * self.answers, tokens + self.answer_length


class Reinforce(Objective):
    """−log p(ŷ | q) · (r(ŷ) − b), and λ KL(p_0 ‖ p) on the same answers.

    Args:
        model: answers, as it is at each step.
        tok: its tokenizer.
        requests: the facts.
        settings: of answers, their drawing and their rewards.
        append_eos: whether an answer must end after the target.
    """

    name = "answers"

    def __init__(
        self,
        model: nn.Module,
        tok: Tokenizer,
        requests: Sequence[EditRequest],
        settings: ReinforceSettings,
        append_eos: bool,
    ) -> None:
        self._model, self._tok, self._settings = model, tok, settings
        self._facts = [fact_row(tok, request, append_eos) for request in requests]

    def terms(self, facts: Sequence[int], step: int) -> list[Term]:
        """The answers of each fact, and how far each is from those of the unedited model."""
        settings = self._settings
        chosen = [fact for fact in facts for _ in range(settings.answers)]
        drawing: dict[str, Any] = {"length": settings.answer_length, "temperature": settings.answer_temperature}
        written = sample(self._model, self._tok, [self._prompt(fact) for fact in chosen], **drawing)
        drawn: dict[int, list[tuple[int, ...]]] = {fact: [] for fact in facts}
        for fact, answer in zip(chosen, written, strict=True):
            if answer:
                drawn[fact].append(answer)
        return [term for fact in facts for term in self._judged(fact, drawn[fact])]

    def _judged(self, fact: int, answers: Sequence[tuple[int, ...]]) -> list[Term]:
        settings = self._settings
        rewards = [reward(answer, self._facts[fact].predicted, settings.reward) for answer in answers]
        baseline = mean(rewards) if settings.reward_baseline == "mean" and rewards else 0.0
        terms = []
        for answer, gain in zip(answers, rewards, strict=True):
            row = Row((*self._prompt(fact), *answer), len(answer))
            terms.append(Term(self.name, row, (gain - baseline) * len(answer) / len(answers), fact))
            if settings.reinforce_kl_weight:
                terms.append(Term(DIVERGENCE, row, settings.reinforce_kl_weight / len(answers), fact, row))
        return terms

    def _prompt(self, fact: int) -> tuple[int, ...]:
        row = self._facts[fact]
        return row.ids[: len(row.ids) - row.span]


DIVERGENCE = "divergence"
"""Name of the divergence from the unedited model, in the course of a training."""


def reward(answer: Sequence[int], target: Sequence[int], kind: str) -> float:
    """−1 to 1: of an answer that should be the target, both as tokens."""
    right = 0
    for token, wanted in zip(answer, target, strict=False):
        if token != wanted:
            break
        right += 1
    share = right / len(target)
    return 2 * share - 1 if kind == "tokens" else 1.0 if share == 1 else -1.0
