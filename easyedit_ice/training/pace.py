"""A learning rate that no model's name is needed for: so large that a step moves general text by so much, and no more.

One number fits no two models: 5e-3 for AdamW writes a fact into a model of 3 million parameters, and ruins one of 135
million. What a step does to text that no edit is about can be measured, and is alike where the learning rate is right.
KL(before ‖ after) grows with the square of a small step, so that two or three trials find it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from easyedit_ice.text.plain_text import movement, said
from easyedit_ice.text.rows import Row
from easyedit_ice.training.adapters import Adapter

FIRST = 1e-3
"""Learning rate of the first trial."""
TRIALS = 6
NEAR = 1.5
"""Trials end where the next one would be this near the last, as a factor."""
FARTHEST = 30.0
"""Greatest factor from one trial to the next: KL is no square of long steps."""
_LEAST = 1e-10
"""KL below which rounding is measured, in nats per token."""


@dataclass(frozen=True)
class Pace:
    """How far a first step may move general text.

    Attributes:
        drift: KL in nats per token.
        rows: plain statements.
    """

    drift: float
    rows: Sequence[Row]

    def found(
        self, model: nn.Module, adapter: Adapter, optimizer: torch.optim.Optimizer, move: Callable[[], None]
    ) -> float:
        """The learning rate whose first step moves the statements by :attr:`drift`; all but it is left as it was.

        Args:
            model: holds the adapter.
            adapter: as it starts, with its gradients.
            optimizer: that has made no step; it gets the learning rate.
            move: makes a step along the gradients.
        """
        before = said(model, self.rows)
        parameters = adapter.parameters()
        start = [(parameter.detach().clone(), parameter.grad.clone()) for parameter in parameters]
        rate = FIRST
        for _ in range(TRIALS):
            _set(optimizer, rate)
            move()
            kl = movement(before, said(model, self.rows)).kl
            with torch.no_grad():
                for parameter, (value, gradient) in zip(parameters, start, strict=True):
                    parameter.copy_(value)
                    parameter.grad = gradient.clone()
            factor = min(FARTHEST, max(1 / FARTHEST, (self.drift / max(kl, _LEAST)) ** 0.5))
            rate *= factor
            if 1 / NEAR < factor < NEAR:
                break
        _set(optimizer, rate)
        return rate


def _set(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """A learning rate for an optimizer that starts anew."""
    optimizer.state.clear()
    for group in optimizer.param_groups:
        group["lr"] = rate
