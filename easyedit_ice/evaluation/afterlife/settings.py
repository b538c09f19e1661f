"""Settings of what a model goes through after it was edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BATCH, LENGTH = 8, 128
"""Texts of a step, and tokens of a text at most."""


@dataclass(frozen=True)
class Course:
    """What the treatments that train read and how they train.

    Attributes:
        texts: that have nothing to do with the edits; read in their order, and again from the first.
        steps: of AdamW, eight texts each.
        learning_rate: constant.
        rank: of the LoRA, where one is trained.
        scale: by which an adapter is multiplied before it is merged.
        adapter: folder of a PEFT adapter to merge; none to train one on ``texts``.
        seed: of the LoRA's first values.
    """

    texts: Sequence[str]
    steps: int = 100
    learning_rate: float = 1e-4
    rank: int = 8
    scale: float = 1.0
    adapter: str | None = None
    seed: int = 0
