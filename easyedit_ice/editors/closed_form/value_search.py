"""Values: what a projection shall write at a subject's last token, so that the model states the new fact.

For each fact a vector δ is added to what the projection writes there, and found by gradient descent
(:mod:`easyedit_ice.editors.closed_form.value_steps`) on a loss (ROME, arXiv 2202.05262, eq. 4; MEMIT, arXiv 2210.07229,
eq. 16):

    L(δ) = mean over contexts of NLL(target | context, prompt; h + δ) + w_kl KL(p_δ ‖ p_0 | subject) + w_d ‖δ‖ / ‖h‖²

with ‖δ‖ kept within a multiple of ‖h‖. The last term is that of the authors' code. δ is added before any norm or factor
that the block applies to what the projection writes: it is what the projection is to be changed by. In blocks without
such, it is what the block's output moves by, as in the papers.

Two rules make values smaller. A search may end once every token of the target leads in every context (ENCORE, arXiv
2502.01636), and not only once it is nearly certain; and h + δ may be given the norm of h afterwards (NAS, arXiv
2602.02543).

h sets the scale: what the block returns (MEMIT's code), or what the projection writes (ROME's). Where a norm or a
factor stands between the two, their units have nothing to do with each other, and h is what the projection writes.

A value is the last one tried with Adam, as in the authors' code; otherwise the one that led, or of the lowest loss.

Facts do not touch each other: many are sought side by side, each with its own optimiser state, and one that is found
leaves.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from easyedit_ice.editors.closed_form.outcome import lead
from easyedit_ice.editors.closed_form.subject_rows import FactRows
from easyedit_ice.editors.closed_form.upper_blocks import UpperBlocks
from easyedit_ice.editors.closed_form.value_steps import AdamSteps, OddsSteps, Steps
from easyedit_ice.errors import TrainingDivergedError
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.runtime.batching import batches_that_fit, tokens_on
from easyedit_ice.runtime.progress import progress
from easyedit_ice.text.reading import TOKENS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search:
    """How values are sought; the names are those of EasyEdit's hyperparameters, without ``v_``.

    Attributes:
        num_grad_steps: most evaluations of the loss.
        lr: of Adam; ``None`` for steps by what the target's odds lack.
        weight_decay: w_d.
        kl_factor: w_kl.
        clamp_norm_factor: most that ‖δ‖ may be, in ‖h‖.
        stop_loss: a fact is found when its loss is below this.
        loss_layer: block from which the prediction is read; the last if ``None``.
        scale: whose output h is, the ``"block"``'s where the projection's is added to it as it is, or the
            ``"projection"``'s.
        stop_lead: a fact is found as well when every token of its target is ahead of every other one by so many nats,
            in every context; ``None`` for the loss alone.
        natural_norm: whether h + δ gets the norm of h when it is found.
        together: most tokens from the subjects on that are gone through side by side; ``None`` for what suits the
            device.
        cheapness: S⁻¹ of what is written, (d, d) by path of the projection, for steps that cost general text least;
            those are the shortest where there is none. Adam makes no use of it.
    """

    num_grad_steps: int
    lr: float | None
    weight_decay: float
    kl_factor: float
    clamp_norm_factor: float
    stop_loss: float
    loss_layer: int | None
    scale: Literal["block", "projection"]
    stop_lead: float | None = None
    natural_norm: bool = False
    together: int | None = None
    cheapness: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Values:
    """What was found, for n facts.

    Attributes:
        wrote: what the projection writes for the bare prompt, (n, d) in fp32.
        origin: h, for the bare prompt, (n, d) in fp32.
        delta: δ, (n, d) in fp32.
        losses: of each fact with its value.
        steps: evaluations of the loss of each fact.
        adds: whether blocks add what the projection writes to the residual stream as it is.
    """

    wrote: Tensor
    origin: Tensor
    delta: Tensor
    losses: tuple[float, ...]
    steps: tuple[int, ...]
    adds: bool


def find_values(model: nn.Module, facts: Sequence[FactRows], projection: str, search: Search) -> Values:
    """Seek the values of some facts.

    Args:
        model: in evaluation mode; its parameters get no gradient.
        facts: laid out.
        projection: path of the projection whose output δ is added to.
        search: how.

    Raises:
        TrainingDivergedError: a loss is infinite or not a number.
    """
    budget = search.together or tokens_on(embedding_weight(model).device, TOKENS)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    parts = []
    with progress(logger, "values", len(facts), "fact") as advance:
        for chunk in batches_that_fit(facts, lambda together: _tokens(together) <= budget):
            parts.append(_find(model, chunk, projection, search))
            advance(len(chunk))
    return Values(
        torch.cat([part.wrote for part in parts]),
        torch.cat([part.origin for part in parts]),
        torch.cat([part.delta for part in parts]),
        sum((part.losses for part in parts), ()),
        sum((part.steps for part in parts), ()),
        all(part.adds for part in parts),
    )


def _tokens(facts: Sequence[FactRows]) -> int:
    """Tokens from the subjects on."""
    return sum(len(row.read) for fact in facts for row in fact.all)


def _find(model: nn.Module, facts: Sequence[FactRows], projection: str, search: Search) -> Values:
    rows = [row for fact in facts for row in fact.all]
    upper = UpperBlocks(model, rows, projection, last=search.loss_layer)
    owners = [index for index, fact in enumerate(facts) for _ in fact.all]
    bare = [owners.index(index) for index in range(len(facts))]
    wrote = upper.projected[bare].float()
    origin = upper.block[bare].float() if search.scale == "block" and upper.adds else wrote
    norms = origin.norm(dim=1)
    deltas = [torch.zeros_like(start) for start in origin]
    steps: Steps = (
        OddsSteps(deltas, wrote, search.stop_loss, search.cheapness.get(projection))
        if search.lr is None
        else AdamSteps(deltas, search.lr)
    )
    losses, tries, found = [math.inf] * len(facts), [0] * len(facts), deltas.copy()
    loss = _Loss(facts)
    active = list(range(len(facts)))
    for turn in range(search.num_grad_steps):
        stacked = torch.stack([deltas[index] for index in active]).requires_grad_(True)
        places = [active.index(owner) for owner in owners]
        log_probs = upper.log_probs(stacked[places])
        fit = loss(log_probs, active, search.kl_factor)
        decay = search.weight_decay * stacked.norm(dim=1) / norms[active] ** 2
        each = fit + decay.to(fit.device)
        ahead = [False] * len(active) if search.stop_lead is None else loss.leads(log_probs, active, search.stop_lead)
        for index, value, leads, tried in zip(active, each.tolist(), ahead, stacked.detach(), strict=True):
            tries[index] = turn + 1
            if search.lr is not None or leads or value < losses[index]:
                losses[index], found[index] = value, tried
        if not each.isfinite().all():
            turn_down = "clamp_norm_factor" if search.lr is None else "v_lr"
            raise TrainingDivergedError(
                f"the loss of a value is {each.max().item()} at step {turn + 1}; lower {turn_down}"
            )
        going = [place for place, value in enumerate(each.tolist()) if value >= search.stop_loss and not ahead[place]]
        if not going or turn == search.num_grad_steps - 1:
            break
        (gradients,) = torch.autograd.grad(each[going].sum(), stacked)
        left = [active[place] for place in going]
        steps.take(left, each.detach()[going], gradients[going])
        _clamp([deltas[index] for index in left], search.clamp_norm_factor * norms[left])
        if len(left) < len(active):
            stay = [row for row, owner in enumerate(owners) if owner in left]
            upper.keep(stay)
            owners = [owners[row] for row in stay]
            active = left
    delta = torch.stack(found)
    if search.natural_norm:
        delta = as_long(origin + delta, origin) - origin
    return Values(wrote, origin, delta, tuple(losses), tuple(tries), upper.adds)


def as_long(vectors: Tensor, others: Tensor) -> Tensor:
    """Vectors (n, d) with the norms of others."""
    scaled: Tensor = (
        vectors * (others.norm(dim=1) / vectors.norm(dim=1).clamp(min=torch.finfo(vectors.dtype).tiny))[:, None]
    )
    return scaled


class _Loss:
    """Likelihood of the targets, and divergence from what followed the subject before; remembers the latter."""

    def __init__(self, facts: Sequence[FactRows]) -> None:
        self._facts = facts
        self._before: Tensor | None = None

    def __call__(self, log_probs: Tensor, active: Sequence[int], kl_factor: float) -> Tensor:
        """(n,) for the active facts, whose rows' places stand one after the other."""
        targets = self._targets(active)
        device = log_probs.device
        essence = torch.tensor(targets.essences, device=device)
        nll = -targets.of(log_probs).gather(1, torch.tensor(targets.tokens, device=device)[:, None])[:, 0]
        weighted = nll * torch.tensor(targets.weights, device=device)
        fit = weighted.new_zeros(len(active)).index_add(0, torch.tensor(targets.owners, device=device), weighted)
        after = log_probs[essence]
        if self._before is None:
            self._before = after.detach()
        kl = (after.exp() * (after - self._before[list(active)])).sum(-1)
        return fit + kl_factor * kl

    @torch.no_grad()
    def leads(self, log_probs: Tensor, active: Sequence[int], nats: float) -> list[bool]:
        """Whether each active fact's target leads by so much, with all of its tokens and in all contexts."""
        targets = self._targets(active)
        ahead = lead(targets.of(log_probs), torch.tensor(targets.tokens, device=log_probs.device)) >= nats
        short = {owner for owner, enough in zip(targets.owners, ahead.tolist(), strict=True) if not enough}
        return [place not in short for place in range(len(active))]

    def _targets(self, active: Sequence[int]) -> _Targets:
        tokens: list[int] = []
        owners: list[int] = []
        weights: list[float] = []
        essences: list[int] = []
        for place, index in enumerate(active):
            stated = self._facts[index].stated
            for row in stated:
                tokens += row.predicted
                owners += [place] * row.span
                weights += [1 / (row.span * len(stated))] * row.span
            essences.append(len(tokens) + len(essences))
        return _Targets(tokens, owners, weights, essences)


@dataclass(frozen=True)
class _Targets:
    """The predicted tokens of some facts, one row's after the other's.

    Attributes:
        tokens: what is predicted.
        owners: place of its fact, of each.
        weights: of each in its fact's loss.
        essences: places, among all that is predicted, of what follows the bare subjects.
    """

    tokens: list[int]
    owners: list[int]
    weights: list[float]
    essences: list[int]

    def of(self, log_probs: Tensor) -> Tensor:
        """Those log-probabilities that are the targets', (t, v)."""
        is_target = torch.ones(len(log_probs), dtype=torch.bool, device=log_probs.device)
        is_target[self.essences] = False
        return log_probs[is_target]


@torch.no_grad()
def _clamp(deltas: Sequence[Tensor], bounds: Tensor) -> None:
    """Shorten vectors to their bounds."""
    for delta, bound in zip(deltas, bounds, strict=True):
        norm = delta.norm()
        if norm > bound:
            delta.mul_(bound / norm)
