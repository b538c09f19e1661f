"""How far values move in a step of their search: by Adam, as in the papers, or as far as the target's odds still lack.

The loss L of a fact is a mean of negative log-likelihoods, and o = -log(exp(L) - 1) the log-odds of the chance exp(-L).
They are nearer to a linear function of the value δ than the loss is. Where they are one, the shortest step to the odds
o* that are wanted goes along the gradient and is (o* - o) / ‖∇o‖ long, with ‖∇o‖ = ‖∇L‖ / (1 - exp(-L)): Newton's step
for o(δ) = o*. It moves each dimension by what the gradient asks of it, where Adam moves all about equally, and so finds
values of the same loss that are shorter, in fewer steps.

Shapes: n facts that are still sought, d the width of what the projection writes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from easyedit_ice.model.pulls import odds

_AIM = 0.5
"""Part of the loss at which a search ends that a step aims at, so that it gets there, and not ever nearer."""
_REACH = 0.5
"""Most that a value moves in a step, in norms of what the projection wrote; half as much each time the loss rises."""


class Steps(Protocol):
    """What moves the values of some facts, and remembers of each what it needs."""

    def take(self, active: Sequence[int], losses: Tensor, gradients: Tensor) -> None:
        """Move some facts' values.

        Args:
            active: which of all facts.
            losses: of these, (n,).
            gradients: of these losses by the values, (n, d).
        """
        ...


class AdamSteps:
    """Adam, which moves each dimension about ``lr`` at first, whatever its gradient.

    Args:
        deltas: all values, (d,) each; moved in place.
        lr: learning rate.
    """

    def __init__(self, deltas: Sequence[Tensor], lr: float) -> None:
        self._deltas = deltas
        self._optimizer = torch.optim.Adam(deltas, lr=lr)

    def take(self, active: Sequence[int], losses: Tensor, gradients: Tensor) -> None:
        """See :class:`Steps`."""
        for index, gradient in zip(active, gradients, strict=True):
            self._deltas[index].grad = gradient
        self._optimizer.step()
        self._optimizer.zero_grad()


class OddsSteps:
    """Newton's steps for the log-odds of the target; no learning rate is needed.

    Args:
        deltas: all values, (d,) each; moved in place.
        wrote: what the projection wrote for each fact, (all, d).
        stop_loss: at which a search ends.
        cheapness: S⁻¹, (d, d); ``None`` for I, the shortest steps.
    """

    def __init__(
        self, deltas: Sequence[Tensor], wrote: Tensor, stop_loss: float, cheapness: Tensor | None = None
    ) -> None:
        self._deltas = deltas
        self._cheapness = None if cheapness is None else cheapness.to(wrote)
        self._wanted = odds(wrote.new_tensor(_AIM * stop_loss, dtype=torch.float64))
        self._reach = _REACH * wrote.norm(dim=1).double()
        self._lowest = torch.full_like(self._reach, math.inf)

    @torch.no_grad()
    def take(self, active: Sequence[int], losses: Tensor, gradients: Tensor) -> None:
        """See :class:`Steps`."""
        facts = torch.tensor(active, device=self._reach.device)
        loss = losses.to(self._reach)
        rose = loss > self._lowest[facts]
        self._reach[facts] = torch.where(rose, self._reach[facts] / 2, self._reach[facts])
        self._lowest[facts] = torch.minimum(self._lowest[facts], loss)
        directions = gradients if self._cheapness is None else gradients @ self._cheapness
        lengths = directions.double().norm(dim=1).clamp(min=torch.finfo(torch.float32).tiny).to(self._reach.device)
        slopes = lengths if self._cheapness is None else _along(gradients, directions).to(lengths) / lengths
        lacking = (self._wanted - odds(loss)) * -torch.expm1(-loss) / slopes
        moves = torch.minimum(lacking, self._reach[facts]) / lengths
        for index, move, direction in zip(active, moves.tolist(), directions, strict=True):
            self._deltas[index].sub_(direction, alpha=move)


def _along(gradients: Tensor, directions: Tensor) -> Tensor:
    """Products of the rows of two matrices, (n,), above 0."""
    products = (gradients.double() * directions.double()).sum(1)
    return products.clamp(min=torch.finfo(torch.float32).tiny)
