"""The cross-entropy method: draw around a mean, keep the best, draw around these.

After Transformer² (Sun et al. 2025, arXiv 2501.06252) and its released code: a normal distribution for each number,
members clipped to [0, 1], the best so far among the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from easyedit_ice.errors import ExpertError

Score = tuple[float, ...]
"""Compared from its first number to its last; more is better."""


@dataclass(frozen=True)
class Round:
    """One iteration.

    Attributes:
        best: the best score so far.
        mean: of the distribution after it, in the order of its numbers.
        std: of the same.
    """

    best: Score
    mean: list[float]
    std: list[float]


@dataclass(frozen=True)
class Found:
    """What a search ends with.

    Attributes:
        best: the best member of all, in the shape that was asked for.
        score: of it.
        history: of all iterations.
    """

    best: Tensor
    score: Score
    history: tuple[Round, ...]


def cross_entropy_method(
    score: Callable[[Tensor], Sequence[Score]],
    start: Tensor,
    *,
    iterations: int = 10,
    population: int = 32,
    elites: int = 6,
    std: float = 0.5,
    seed: int = 0,
) -> Found:
    """Search numbers from 0 to 1 with the highest score.

    Args:
        score: scores of members (population, \\*shape), in their order.
        start: mean at the start, which is also the first member.
        iterations: how often a population is drawn.
        population: its members, the best so far among them.
        elites: that the next mean and deviation are of.
        std: deviation at the start.
        seed: of all that is drawn.

    Raises:
        ExpertError: there are more elites than members, or fewer than one.
    """
    if not 1 <= elites <= population or iterations < 1:
        raise ExpertError(
            f"{iterations} iterations, a population of {population} and {elites} elites; expected at least one "
            "iteration, and at most as many elites as members"
        )
    generator = torch.Generator().manual_seed(seed)
    mean, spread = start.double(), torch.full_like(start, std, dtype=torch.float64)
    best, best_score = start.double().clamp(0, 1), None
    history = []
    for _ in range(iterations):
        drawn = torch.randn(population, *start.shape, generator=generator, dtype=torch.float64)
        members = (mean + spread * drawn).clamp(0, 1)
        members[0] = best
        scores = score(members.float())
        order = sorted(range(population), key=lambda index: scores[index], reverse=True)
        if best_score is None or scores[order[0]] > best_score:
            best, best_score = members[order[0]].clone(), scores[order[0]]
        chosen = members[order[:elites]]
        mean, spread = chosen.mean(0), chosen.std(0, correction=0)
        history.append(Round(best_score, mean.flatten().tolist(), spread.flatten().tolist()))
    return Found(best.float(), cast("tuple[float, ...]", best_score), tuple(history))
