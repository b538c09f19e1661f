"""A learning rate that no model's name is needed for: so large that a step moves general text by so much, and no more.

One number fits no two models: 5e-3 for AdamW writes a fact into a model of 3 million parameters, and ruins one of 135
million. What a step does to text that no edit is about can be measured, and is alike where the learning rate is right.
KL(before ‖ after) grows with the square of a small step, so that two or three trials find it. In half precision
rounding alone moves a model further than a good step does: there a longer step is measured, and the square does the
rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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
CLEAR = 400.0
"""KL that stands clear of rounding, in nats per token and units of ε², the square of the spacing of the model's type at
1: 0.02 in bfloat16, where rounding makes 1e-3; less than any step in float32."""
_LEAST = 1e-10
"""KL below which nothing moved, in nats per token."""


@dataclass(frozen=True)
class Pace:
    """How far a first step may move general text.

    Attributes:
        drift: KL in nats per token.
        rows: plain statements; at least one.
    """

    drift: float
    rows: Sequence[Row]

    def found(
        self, model: nn.Module, adapter: Adapter, optimizer: torch.optim.Optimizer, move: Callable[[], None]
    ) -> float | None:
        """The learning rate whose first step moves the statements by :attr:`drift`; all is left as it was.

        Args:
            model: holds the adapter.
            adapter: as it starts, with its gradients.
            optimizer: that has made no step.
            move: makes a step along the gradients.

        Returns:
            ``None`` if no step moves the statements at all, as where the gradients are zero.
        """
        before = said(model, self.rows)
        parameters = adapter.parameters()
        values, gradients = [own.detach().clone() for own in parameters], [_copy(own.grad) for own in parameters]
        given, rate = optimizer.param_groups[0]["lr"], FIRST
        aim = max(self.drift, CLEAR * torch.finfo(model.get_input_embeddings().weight.dtype).eps ** 2)
        for _ in range(TRIALS):
            set_rate(optimizer, rate)
            move()
            kl = movement(model, self.rows, before).kl
            with torch.no_grad():
                for parameter, value, gradient in zip(parameters, values, gradients, strict=True):
                    parameter.copy_(value)
                    parameter.grad = _copy(gradient)
            optimizer.state.clear()
            factor = min(FARTHEST, max(1 / FARTHEST, (aim / max(kl, _LEAST)) ** 0.5))
            rate *= factor
            if 1 / NEAR < factor < NEAR:
                break
        set_rate(optimizer, given)
        return None if kl < _LEAST else rate * (self.drift / aim) ** 0.5


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give an optimizer a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _copy(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.clone()
