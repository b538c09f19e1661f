"""How strongly facts must be written: for each the least of some scales at which the edited model is sure of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form.outcome import TargetScores, stated
from easyedit_ice.model.tokenizer import Tokenizer

SCALES = (0.375, 0.5, 0.625, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""What is tried above the first."""


@dataclass(frozen=True)
class Scaled:
    """What was found.

    Attributes:
        scales: of each fact.
        after: how the model states them with the update of these.
    """

    scales: tuple[float, ...]
    after: TargetScores


def least_scales(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[EditRequest],
    update_of: Callable[[Sequence[float]], WeightUpdate],
    *,
    margin: float,
    least: float,
) -> Scaled:
    """Raise the scale of each fact until every token of its target leads by a margin, all of them together.

    Args:
        model: left as it was.
        tok: its tokenizer.
        requests: the facts.
        update_of: the update that writes each fact with its scale.
        margin: in nats.
        least: the scale that all begin with.

    Returns:
        scales; a fact that is not written at the greatest one has that.
    """
    tried = (least, *(scale for scale in SCALES if scale > least))
    steps = [0] * len(requests)
    while True:
        scales = tuple(tried[step] for step in steps)
        after = _with(model, tok, requests, update_of(scales))
        short = [fact for fact, lead in enumerate(after.leads) if lead < margin and steps[fact] < len(tried) - 1]
        if not short:
            return Scaled(scales, after)
        for fact in short:
            steps[fact] += 1


def _with(model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], update: WeightUpdate) -> TargetScores:
    with update.applied(model):
        return stated(model, tok, requests)
