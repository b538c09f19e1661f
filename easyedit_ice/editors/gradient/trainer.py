"""Breadth-first training: all facts of a batch together, epoch by epoch, each resting once it is learned.

Training one fact to convergence after the other lets the last ones overwrite the first; passing over all of
them in shuffled mini-batches does not (LocFT-BF, arXiv 2509.22072, table 1).
"""

from __future__ import annotations

import logging
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Concatenate, ParamSpec, cast

import torch
from torch import Tensor, nn

from easyedit_ice.editors.gradient.adapters import Adapter
from easyedit_ice.editors.gradient.learning_rate import Pace, set_rate
from easyedit_ice.editors.gradient.objectives import Objective, Term
from easyedit_ice.editors.gradient.protection.projector import Protection
from easyedit_ice.editors.gradient.schedule import Schedule
from easyedit_ice.editors.gradient.teacher import Teacher
from easyedit_ice.errors import TrainingDivergedError
from easyedit_ice.runtime.batching import batches, batches_that_fit
from easyedit_ice.runtime.distributed import Share
from easyedit_ice.runtime.progress import steps
from easyedit_ice.runtime.randomness import lent_to_libraries
from easyedit_ice.text.rows import predict

P = ParamSpec("P")
logger = logging.getLogger(__name__)

_LEAST = 1e-3
"""Share of the greatest length below which a gradient gets no longer, when lengths are evened out."""


@dataclass
class Course:
    """How a training went.

    Attributes:
        steps: epochs over the facts.
        learned: whether every fact met the stopping rule.
        losses: per epoch, the mean loss of each objective in nats per token.
        lr: the learning rate; none where it was to be found, and no step had a gradient.
    """

    steps: int = 0
    learned: bool = False
    losses: list[dict[str, float]] = field(default_factory=list)
    lr: float | None = None


@dataclass(frozen=True)
class Trained:
    """What is trained: an adapter in its model.

    Attributes:
        adapter: of some projections.
        protection: of what it must not read, if anything.
        bound: on the absolute value of every element of the weight change, or ``None``.
    """

    adapter: Adapter
    protection: Protection | None = None
    bound: float | None = None


def _with_layers_drawing(
    train: Callable[Concatenate[nn.Module, Trained, P], Course],
) -> Callable[Concatenate[nn.Module, Trained, P], Course]:
    """The training, with what the adapter's layers draw, as dropout does, coming from the edit's seed too."""

    @wraps(train)
    def training(model: nn.Module, trained: Trained, *args: P.args, **kwargs: P.kwargs) -> Course:
        with lent_to_libraries(model) if trained.adapter.draws else nullcontext():
            return train(model, trained, *args, **kwargs)

    return cast("Callable[Concatenate[nn.Module, Trained, P], Course]", training)


@_with_layers_drawing
def train(
    model: nn.Module,
    trained: Trained,
    objectives: Sequence[Objective],
    facts: int,
    schedule: Schedule,
    *,
    seed: int,
    most_tokens: int | None = None,
    pace: Pace | None = None,
) -> Course:
    """Train an adapter until every fact is learned, or for ``schedule.num_steps`` passes.

    A fact rests while, for each objective that has a ``stop``, its mean loss is below that; all facts are looked at
    again before training ends.

    Args:
        model: holds the adapter.
        trained: the adapter.
        objectives: summed into the loss.
        facts: number of facts.
        schedule: of the steps.
        seed: shuffles the facts.
        most_tokens: in one forward and backward pass, besides ``micro_batch_size``; a fact's rows stay together.
        pace: finds the learning rate at the first step that has a gradient to follow, and no other is made before;
            ``None`` to take the schedule's.

    Raises:
        TrainingDivergedError: the loss, or what is trained, is infinite or not a number.
    """
    adapter, share, autocast = trained.adapter, schedule.share(), schedule.autocast(model)
    parameters = adapter.parameters()
    optimizer = schedule.build_optimizer(parameters)
    move = partial(_move, optimizer, trained, schedule)
    stop_below = {objective.name: objective.stop for objective in objectives if objective.stop is not None}
    teacher = Teacher(model, adapter.disabled)
    order = random.Random(seed)
    course = Course(lr=None if pace else optimizer.param_groups[0]["lr"])
    active = list(range(facts))
    for epoch in steps(logger, "editing", schedule.num_steps, "epoch"):
        order.shuffle(active)
        values: dict[int | None, dict[str, list[float]]] = {}
        stops = stop_below if adapter.settled else {}
        for batch in batches(active, schedule.mini_batch_size):
            optimizer.zero_grad(set_to_none=True)
            local: dict[int | None, dict[str, list[float]]] = {}
            largest = schedule.micro_batch_size, most_tokens or math.inf
            for terms in _passes(objectives, share.of(batch), largest, epoch, share.first):
                with autocast():
                    losses = _losses(model, teacher, terms)
                measured = _by_fact(terms, losses)
                local |= measured
                factors = [_factor(term, measured, stops, len(batch)) for term in terms]
                (losses * torch.tensor(factors, device=losses.device)).sum().backward()
            for part in share.gathered(local):
                values |= part
            if not all(_learned(values[fact], stops) for fact in batch):
                _add_penalty(adapter, share)
                _sum_gradients(parameters, share)
                if course.lr is None and pace is not None:
                    course.lr = share.gathered(pace.search(model, adapter, optimizer, move))[0]
                    set_rate(optimizer, course.lr or 0.0)
                if course.lr is not None:
                    move()
                adapter.stepped()
                if trained.bound is not None:
                    adapter.clamp(trained.bound)
        course.steps = epoch + 1
        course.losses.append(_means(values))
        active = [fact for fact in active if not _learned(values[fact], stops)]
        if not active:
            if len(values.keys() - {None}) == facts:
                course.learned = True
                break
            active = list(range(facts))
    _check_finite(adapter)
    return course


def _passes(
    objectives: Sequence[Objective],
    batch: Sequence[int],
    largest: tuple[int, float],
    epoch: int,
    with_shared: bool,
) -> Iterator[list[Term]]:
    """The terms of a mini-batch, in as many forward passes as memory asks for: each of most facts and most tokens."""
    most_facts, most_tokens = largest
    by_fact: dict[int | None, list[Term]] = {fact: [] for fact in batch}
    for objective in objectives:
        for term in objective.terms(batch, epoch):
            by_fact[term.fact].append(term)

    def fits(group: Sequence[Sequence[Term]]) -> bool:
        return len(group) <= most_facts and _tokens(group) <= most_tokens

    for group in batches_that_fit(by_fact.values(), fits):
        yield [term for terms in group for term in terms]
    shared = [term for objective in objectives for term in objective.shared_terms()]
    if shared and with_shared:
        yield shared


def _tokens(group: Sequence[Sequence[Term]]) -> int:
    """Tokens that the student reads."""
    return sum(len(row.ids) for row in {term.row for terms in group for term in terms})


def _losses(model: nn.Module, teacher: Teacher, terms: Sequence[Term]) -> Tensor:
    """Loss of each term, in nats per token: (n,). Rows that several terms share are run once."""
    places = {row: place for place, row in enumerate(dict.fromkeys(term.row for term in terms))}
    predictions = predict(model, list(places)).select([places[term.row] for term in terms])
    losses = predictions.nll()
    for static in (True, False):
        taught = [index for index, term in enumerate(terms) if term.teacher is not None and term.static == static]
        if taught:
            rows = [row for index in taught if (row := terms[index].teacher) is not None]
            divergences = predictions.select(taught).kl_from(teacher.before(rows) if static else teacher.now(rows))
            losses = losses.index_put((torch.tensor(taught, device=losses.device),), divergences)
    if not losses.isfinite().all():
        raise TrainingDivergedError(
            f"the loss is {losses.sum().item()}; lower lr, or train in float32 (mixed_precision: no)"
        )
    return losses


def _check_finite(adapter: Adapter) -> None:
    """Look at what the last step has made, of which no loss was measured."""
    for name, tensors in adapter.trained().items():
        if not all(tensor.isfinite().all() for tensor in tensors):
            raise TrainingDivergedError(
                f"what is trained of {name} is infinite or not a number after the last step; lower lr or weight_decay, "
                "or set max_grad_norm"
            )


def _factor(
    term: Term,
    measured: Mapping[int | None, Mapping[str, Sequence[float]]],
    stop_below: Mapping[str, float],
    batch: int,
) -> float:
    """Weight of a term in the loss of its mini-batch: the mean over its facts, those that rest left out."""
    if term.fact is None:
        return term.weight
    return 0.0 if _learned(measured[term.fact], stop_below) else term.weight / batch


def _add_penalty(adapter: Adapter, share: Share) -> None:
    """The gradient of what the adapter itself adds to the loss; once, where several processes train together."""
    penalty = adapter.penalty()
    if penalty is not None and share.first:
        penalty.backward()


def _sum_gradients(parameters: Sequence[Tensor], share: Share) -> None:
    if share.count == 1:
        return
    for parameter in parameters:
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = share.total(gradient)


@torch.no_grad()
def _even_out(adapter: Adapter, evenness: float) -> None:
    """Scale the gradient of each projection from length g to one ∝ g^(1 − evenness); together they keep their length.

    A step along a gradient of length g lowers the loss by g times the step's own length, to first order: by g² as
    gradients are, by g where all are of one length, and by as much for every projection with an evenness of 2.
    """
    trained = adapter.trained()
    lengths = torch.stack(
        [torch.stack([_gradient(one).norm() for one in factor]).norm() for factor in trained.values()]
    )
    bounded = lengths.clamp(min=max(_LEAST * lengths.max().item(), torch.finfo(lengths.dtype).tiny))
    wanted = (bounded / bounded.max()) ** (1 - evenness)
    factors = wanted / wanted.norm() * lengths.norm() / bounded
    for factor, tensors in zip(factors, trained.values(), strict=True):
        for tensor in tensors:
            _gradient(tensor).mul_(factor)


def _gradient(tensor: Tensor) -> Tensor:
    """Its gradient, after a backward pass through it."""
    return cast("Tensor", tensor.grad)


def _move(optimizer: torch.optim.Optimizer, trained: Trained, schedule: Schedule) -> None:
    """One optimiser step along the gradients that protection leaves."""
    if trained.protection is not None:
        trained.protection.before_step()
    if schedule.evenness:
        _even_out(trained.adapter, schedule.evenness)
    if schedule.max_grad_norm is not None:
        nn.utils.clip_grad_norm_(trained.adapter.parameters(), schedule.max_grad_norm)
    optimizer.step()
    if trained.protection is not None:
        trained.protection.after_step()


def _by_fact(terms: Sequence[Term], losses: Tensor) -> dict[int | None, dict[str, list[float]]]:
    """Losses by fact, ``None`` for what belongs to none, and by objective."""
    by_fact: dict[int | None, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for term, loss in zip(terms, losses.tolist(), strict=True):
        by_fact[term.fact][term.objective].append(loss)
    return by_fact


def _learned(losses: Mapping[str, Sequence[float]], stop_below: Mapping[str, float]) -> bool:
    return bool(stop_below) and all(_mean(losses.get(name, [0.0])) < bound for name, bound in stop_below.items())


def _means(by_fact: Mapping[int | None, Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """Mean over facts of each objective's loss."""
    pooled: dict[str, list[float]] = defaultdict(list)
    for losses in by_fact.values():
        for name, values in losses.items():
            pooled[name].append(_mean(values))
    return {name: _mean(values) for name, values in pooled.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
