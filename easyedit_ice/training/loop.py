"""Breadth-first training: all facts of a batch together, epoch by epoch, each resting once it is learned.

Training one fact to convergence after the other lets the last ones overwrite the first; passing over all of
them in shuffled mini-batches does not (LocFT-BF, arXiv 2509.22072, table 1).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from easyedit_ice.errors import TrainingDivergedError
from easyedit_ice.training.adapters import LowRankAdapter
from easyedit_ice.training.objectives import Objective, Term
from easyedit_ice.training.rows import predict


@dataclass
class Course:
    """How a training went.

    Attributes:
        steps: epochs over the facts.
        learned: whether every fact met the stopping rule.
        losses: per epoch, the mean loss of each objective in nats per token.
    """

    steps: int = 0
    learned: bool = False
    losses: list[dict[str, float]] = field(default_factory=list)


def train(
    model: nn.Module,
    adapter: LowRankAdapter,
    objectives: Sequence[Objective],
    facts: int,
    *,
    epochs: int,
    lr: float,
    weight_decay: float,
    max_grad_norm: float | None,
    mini_batch_size: int,
    stop_below: Mapping[str, float],
    clamp: float | None,
    autocast: AbstractContextManager,
    seed: int,
) -> Course:
    """Train the adapter until every fact is learned, or for ``epochs`` passes.

    Args:
        model: holds the adapter.
        adapter: what is trained.
        objectives: summed into the loss.
        facts: number of facts.
        epochs: most passes over the facts.
        lr: learning rate of AdamW.
        weight_decay: of AdamW.
        max_grad_norm: gradients are scaled down to this norm; ``None`` for no bound.
        mini_batch_size: facts in one optimiser step.
        stop_below: a fact rests while, for each objective named here, its mean loss is below the bound; all
            facts are looked at again before training ends.
        clamp: bound on the absolute value of every element of the weight change, or ``None``.
        autocast: mixed precision of the forward passes.
        seed: shuffles the facts.

    Raises:
        TrainingDivergedError: the loss is infinite or not a number.
    """
    parameters = adapter.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    order = random.Random(seed)
    course = Course()
    active = list(range(facts))
    for epoch in tqdm(range(epochs), desc="editing", unit="epoch", leave=False, disable=None):
        order.shuffle(active)
        epoch_losses: dict[int, dict[str, list[float]]] = {}
        shared: dict[str, list[float]] = defaultdict(list)
        for start in range(0, len(active), mini_batch_size):
            batch = active[start : start + mini_batch_size]
            with autocast:
                terms = [term for objective in objectives for term in objective.terms(batch, epoch)]
                losses = _losses(model, terms)
            measured = _by_fact(terms, losses, shared)
            epoch_losses |= measured
            unlearned = [fact for fact in batch if not _learned(measured[fact], stop_below)]
            if unlearned:
                _step(optimizer, parameters, terms, losses, set(unlearned), max_grad_norm)
                if clamp is not None:
                    adapter.clamp(clamp)
        course.steps = epoch + 1
        course.losses.append(_means(epoch_losses, shared))
        active = [fact for fact in active if not _learned(epoch_losses[fact], stop_below)]
        if not active:
            if len(epoch_losses) == facts:
                course.learned = True
                break
            active = list(range(facts))
    return course


def _losses(model: nn.Module, terms: Sequence[Term]) -> Tensor:
    """Loss of each term, in nats per token: (n,)."""
    predictions = predict(model, [term.row for term in terms])
    losses = predictions.nll()
    taught = [index for index, term in enumerate(terms) if term.teacher is not None]
    if taught:
        divergences = predictions.select(taught).kl_from(torch.cat([terms[index].teacher for index in taught]))
        losses = losses.index_put((torch.tensor(taught, device=losses.device),), divergences)
    if not losses.isfinite().all():
        raise TrainingDivergedError(
            f"the loss is {losses.sum().item()}; lower lr, or train in float32 (mixed_precision: no)"
        )
    return losses


def _step(
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[Tensor],
    terms: Sequence[Term],
    losses: Tensor,
    unlearned: set[int],
    max_grad_norm: float | None,
) -> None:
    """One optimiser step on the facts not yet learned, and on what concerns all facts."""
    factors = [
        term.weight * (1.0 if term.fact is None else (term.fact in unlearned) / len(unlearned)) for term in terms
    ]
    optimizer.zero_grad(set_to_none=True)
    (losses * torch.tensor(factors, device=losses.device)).sum().backward()
    if max_grad_norm is not None:
        nn.utils.clip_grad_norm_(parameters, max_grad_norm)
    optimizer.step()


def _by_fact(
    terms: Sequence[Term], losses: Tensor, shared: dict[str, list[float]]
) -> dict[int, dict[str, list[float]]]:
    """Losses by fact and objective; those of no fact are added to ``shared``."""
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for term, loss in zip(terms, losses.tolist(), strict=True):
        place = shared if term.fact is None else found[term.fact]
        place[term.objective].append(loss)
    return found


def _learned(losses: Mapping[str, Sequence[float]], stop_below: Mapping[str, float]) -> bool:
    return bool(stop_below) and all(_mean(losses.get(name, [0.0])) < bound for name, bound in stop_below.items())


def _means(
    by_fact: Mapping[int, Mapping[str, Sequence[float]]], shared: Mapping[str, Sequence[float]]
) -> dict[str, float]:
    pooled: dict[str, list[float]] = defaultdict(list)
    for losses in by_fact.values():
        for name, values in losses.items():
            pooled[name].append(_mean(values))
    return {name: _mean(values) for name, values in (*pooled.items(), *shared.items())}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
