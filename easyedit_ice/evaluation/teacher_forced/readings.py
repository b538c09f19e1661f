"""Many sequences of tokens run side by side, with predictions read where they are needed.

A causal model says the same about a token whatever comes after it. So a sequence that another one begins with is not
run of its own, shorter ones are filled up on the right, and no other places' logits are worked out.
Shapes: b sequences, t tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.evaluation.teacher_forced.host_rows import Cell
from easyedit_ice.model.fused_activation import fused_activations
from easyedit_ice.model.logits import logits_at
from easyedit_ice.runtime.batching import PER_PASS, cheapest, tokens_on

TOKENS = {"cpu": 1536, "cuda": 8192}
"""Most tokens run side by side: on a CPU activations shall stay in its caches."""

Place = tuple[int, int]
"""A place in a line, and the token whose log-probability there is wanted."""


@dataclass(frozen=True)
class Line:
    """A sequence of tokens, and the places where it is read.

    Attributes:
        cells: the tokens.
        places: where to read.
    """

    cells: tuple[Cell, ...]
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Reading:
    """What a model says at one place.

    Attributes:
        token: the likeliest token.
        lead: how far its logit is before the next one's, by the largest absolute logit there.
        log_prob: of the token that was asked for, in nats.
    """

    token: int
    lead: float
    log_prob: float


def read(model: nn.Module, names: Sequence[str], filler: Cell, lines: Sequence[Line]) -> list[dict[int, Reading]]:
    """What the model says at each place of each line, by place.

    Args:
        model: a causal language model, in evaluation mode and without gradients.
        names: the model's inputs, in the order of the cells' values.
        filler: the cell that fills lines up; the model must not attend to it.
        lines: in any order.
    """
    longest, wanted = _longest(lines, merges_texts(model))
    by_cells: dict[tuple[Cell, ...], dict[Place, Reading]] = {}
    sequences = list(wanted)
    most, per_pass = (tokens_on(_device(model), budgets) for budgets in (TOKENS, PER_PASS))
    for batch in cheapest([len(cells) for cells in sequences], most, per_pass):
        chunk = [sequences[index] for index in batch]
        asked = [(index, place) for index, cells in enumerate(chunk) for place in sorted(wanted[cells])]
        where = [(index, place) for index, (place, _) in asked]
        with fused_activations(model):
            logits = logits_at(model, tensors(model, names, filler, chunk), where)
        for (index, place), reading in zip(asked, _readings(logits, [token for _, (_, token) in asked]), strict=True):
            by_cells.setdefault(chunk[index], {})[place] = reading
    return [{place: by_cells[longest[line.cells]][place, token] for place, token in line.places} for line in lines]


def mean_log_prob(readings: Iterable[Reading]) -> float:
    """Mean log-probability of the tokens asked for, in nats per token; ``nan`` if there are none."""
    log_probs = [reading.log_prob for reading in readings]
    return sum(log_probs) / len(log_probs) if log_probs else math.nan


def tensors(
    model: nn.Module, names: Sequence[str], filler: Cell, sequences: Sequence[tuple[Cell, ...]]
) -> dict[str, Tensor]:
    """The model's inputs, filled up on the right: (b, t) each."""
    width = max(map(len, sequences))
    cells = torch.tensor([[*cells, *[filler] * (width - len(cells))] for cells in sequences], device=_device(model))
    return {name: values.contiguous() for name, values in zip(names, cells.unbind(-1), strict=True)}


def merges_texts(model: nn.Module) -> bool:
    """Whether the model says the same of a text's beginning whatever follows, and whatever stands beside it.

    Wrappers of EasyEdit that look at a whole text before they answer set ``asked_alone``.
    """
    return not getattr(model, "asked_alone", False)


def _longest(
    lines: Sequence[Line], merge: bool
) -> tuple[dict[tuple[Cell, ...], tuple[Cell, ...]], dict[tuple[Cell, ...], set[Place]]]:
    """For each line the longest one that begins with it, and for each of these the places that are wanted."""
    longest: dict[tuple[Cell, ...], tuple[Cell, ...]] = {}
    after: tuple[Cell, ...] = ()
    for cells in sorted({line.cells for line in lines if line.places}, reverse=True):
        if not merge or after[: len(cells)] != cells:
            after = cells
        longest[cells] = after
    wanted: dict[tuple[Cell, ...], set[Place]] = {}
    for line in lines:
        if line.places:
            wanted.setdefault(longest[line.cells], set()).update(line.places)
    return longest, wanted


def _readings(logits: Tensor, tokens: Sequence[int]) -> Iterator[Reading]:
    best = logits.float().topk(2)
    leads = (best.values[:, 0] - best.values[:, 1]) / logits.abs().amax(-1).float()
    asked = torch.tensor(tokens, device=logits.device)[:, None]
    log_probs = logits.float().log_softmax(-1).gather(1, asked)[:, 0]
    for values in zip(best.indices[:, 0].tolist(), leads.tolist(), log_probs.tolist(), strict=True):
        yield Reading(*values)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
