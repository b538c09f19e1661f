"""A model's score in a task, with what each sample adds to it, so that two models can be compared sample by sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

Values = NDArray[np.float64]
"""What samples add: (samples, 1), or (samples, 2) for a sum of log-probabilities and what it is divided by."""


def _per_weight(values: Values) -> Values:
    means: Values = values[..., 0].sum(axis=-1) / values[..., 1].sum(axis=-1)
    return means


AGGREGATIONS: dict[str, Callable[[Values], Values]] = {
    "mean": lambda values: values[..., 0].mean(axis=-1),
    "perplexity": lambda values: np.exp(-values[..., 0].mean(axis=-1)),
    "weighted_perplexity": lambda values: np.exp(-_per_weight(values)),
    "bits_per_byte": lambda values: -_per_weight(values) / math.log(2),
}
"""How a score follows from its samples, by lm-eval's names: (..., samples, width) to (...)."""


@dataclass(frozen=True)
class Ability:
    """One task's score in one of its metrics.

    Attributes:
        task: name of the task or group.
        metric: as lm-eval names it; with its filter, if it has one, as in ``exact_match,strict-match``.
        value: the score.
        higher_is_better: whether a higher one is better.
        aggregation: a key of :data:`AGGREGATIONS` by which ``value`` follows from ``samples``; none where it does not.
        samples: what each sample adds, in the order of the task's documents.
    """

    task: str
    metric: str
    value: float
    higher_is_better: bool
    aggregation: str | None = None
    samples: tuple[tuple[float, ...], ...] = ()

    @property
    def name(self) -> str:
        """Task and metric."""
        return f"{self.task} {self.metric}"

    def values(self) -> Values:
        """The samples as an array."""
        return np.asarray(self.samples, dtype=float)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; a sample of one number is that number."""
        samples = [row[0] if len(row) == 1 else list(row) for row in self.samples]
        return asdict(self) | {"samples": samples}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        samples = tuple(tuple(row) if isinstance(row, list) else (row,) for row in plain["samples"])
        return cls(**{**plain, "samples": samples})


def with_samples(ability: Ability, aggregation: str | None, samples: Sequence[Any]) -> Ability:
    """The score with its samples, if it follows from them by the aggregation; else as it was."""
    if aggregation not in AGGREGATIONS or not samples:
        return ability
    try:
        rows = tuple(tuple(map(float, row)) if isinstance(row, (tuple, list)) else (float(row),) for row in samples)
        value = float(AGGREGATIONS[aggregation](np.asarray(rows)))
    except (TypeError, ValueError, IndexError):
        return ability
    if not math.isclose(value, ability.value, rel_tol=1e-9, abs_tol=1e-12):
        return ability
    return Ability(ability.task, ability.metric, ability.value, ability.higher_is_better, aggregation, rows)
