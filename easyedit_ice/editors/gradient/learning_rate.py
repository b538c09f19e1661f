"""A learning rate that no model's name is needed for: so large that a step moves general text by so much, and no more.

One number fits no two models: 5e-3 for AdamW writes a fact into a model of 3 million parameters, and ruins one of 135
million. What a step does to text that no edit is about can be measured, and is alike where the learning rate is right.
KL(before ‖ after) grows with the square of a small step, so that two or three trials find it; where it grows faster,
the last two tell how fast. In half precision rounding alone moves a model further than a good step does, and so it does
beside weights in 4 or 8 bits, which multiply in half precision whatever the model's type: there KL does not fall with
the rate. Then a longer step is measured, and the square does the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.edit.plain_statements import movement, said
from easyedit_ice.editors.gradient.adapters import Adapter
from easyedit_ice.model.logits import logits_at
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.text.rows import Row

FIRST = 1e-3
"""Learning rate of the first trial."""
TRIALS = 8
NEAR = 1.5
"""Trials end where the next one would be this near the last, as a factor."""
FARTHEST = 30.0
"""Greatest factor from one trial to the next: KL is no square of long steps."""
CLEAR = 20.0
"""KL that stands clear of rounding, in units of what rounding alone makes."""
SQUARE, STEEPEST = 2.0, 8.0
"""Powers of the rate that KL may grow with: a product of three factors that all move has 6."""
LEVEL = 1.0
"""Power below which KL hardly depends on the rate: what is seen is rounding."""
_LEAST, _MOST = 1e-10, 1e3
"""KL below which nothing moved, and above which it is all the same how far, in nats per token."""
_STILL = 1e-5
"""Norm below which gradients are rounding: AdamW would make whole steps of them."""


@dataclass(frozen=True)
class Pace:
    """How far a first step may move general text.

    Attributes:
        drift: KL in nats per token.
        rows: plain statements; at least one.
    """

    drift: float
    rows: Sequence[Row]

    def search(
        self, model: nn.Module, adapter: Adapter, optimizer: torch.optim.Optimizer, move: Callable[[], None]
    ) -> float | None:
        """The learning rate whose first step moves the statements by :attr:`drift`; all is left as it was.

        It is no greater than the adapter's ``fastest``, where the optimizer takes each element as far as the rate says.

        Args:
            model: holds the adapter.
            adapter: as it starts, with its gradients.
            optimizer: that has made no step.
            move: makes a step along the gradients.

        Returns:
            ``None`` if there is nothing to follow: the gradients are zero but for rounding, or no step moves anything.
        """
        parameters = adapter.parameters()
        if _length(parameters) < _STILL:
            return None
        before = said(model, self.rows)
        values, gradients = (
            [parameter.detach().clone() for parameter in parameters],
            [_copy(parameter.grad) for parameter in parameters],
        )

        def tried(rate: float) -> float:
            """KL of a step at this rate, which is taken back."""
            set_rate(optimizer, rate)
            move()
            kl = _bounded(movement(model, self.rows, before).kl)
            with torch.no_grad():
                for parameter, value, gradient in zip(parameters, values, gradients, strict=True):
                    parameter.copy_(value)
                    parameter.grad = _copy(gradient)
            optimizer.state.clear()
            return kl

        setting, rate, last = optimizer.param_groups[0]["lr"], FIRST, None
        aim = max(self.drift, CLEAR * rounding(model, self.rows[0]))
        for _ in range(TRIALS):
            kl = tried(rate)
            power = SQUARE if last is None else _power(last, (rate, kl))
            if power < LEVEL:
                aim = max(aim, CLEAR * kl)
            power = min(STEEPEST, max(SQUARE, power))
            factor = min(FARTHEST, max(1 / FARTHEST, (aim / kl) ** (1 / power)))
            last, rate = (rate, kl), rate * factor
            if 1 / NEAR < factor < NEAR:
                break
        set_rate(optimizer, setting)
        if kl == _LEAST:
            return None
        fastest = None if isinstance(optimizer, torch.optim.SGD) else adapter.fastest
        return float(min(rate * (self.drift / aim) ** 0.5, fastest or math.inf))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give an optimizer a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


@torch.no_grad()
def rounding(model: nn.Module, row: Row) -> float:
    """KL in nats per token that rounding logits makes between two states of a model that say the same.

    Logits z are rounded to a spacing of ε z at most, evenly: each state's have a variance of (ε z)² / 12, and KL is
    half that of their difference, in the mean over the distribution.
    """
    weight = embedding_weight(model)
    inputs = {"input_ids": torch.tensor([row.ids[:-1]], device=weight.device)}
    logits = logits_at(model, inputs, [(0, place) for place in range(len(row.ids) - 1)]).float()
    spacing = torch.finfo(weight.dtype).eps * logits
    return (logits.softmax(-1) * spacing.square() / 12).sum(-1).mean().item()


def _bounded(kl: float) -> float:
    return min(_MOST, max(_LEAST, kl)) if math.isfinite(kl) else _MOST


def _power(last: tuple[float, float], now: tuple[float, float]) -> float:
    """Of the rate that KL grows with, by two trials of different rates."""
    (rate, kl), (other, grown) = last, now
    return math.log(grown / kl) / math.log(other / rate)


def _length(parameters: Sequence[Tensor]) -> float:
    """Norm of all gradients."""
    return math.hypot(*(parameter.grad.norm().item() for parameter in parameters if parameter.grad is not None))


def _copy(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.clone()
