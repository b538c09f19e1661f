"""Facts written by Newton steps: to first order the cheapest change with which the model states them, and again.

With the log-odds o of n facts, and g and k of each of their tokens
(:mod:`easyedit_ice.editors.closed_form.linearised`), the change of all projections l together that costs least,
Σ tr(S ΔW A ΔWᵀ), and raises each o by what it lacks is

    ΔW_l = Σ_i α_i Σ_t S_l⁻¹ g_it k_itᵀ A_l⁻¹,   (H + ε I) α = lack,
    H_ij = Σ_l Σ_ts (g_itᵀ S_l⁻¹ g_js) (k_itᵀ A_l⁻¹ k_js)

Values are gradients, as in UltraEdit (arXiv 2505.14679), and no search: how much of each is written, where, and at
which of the tokens, comes out of one n × n solve. Since o is not linear, a few such steps follow each other.

The steps may be summed up, or each may solve for the whole change D since the first anew, with lack + J D in place of
lack, where (J D)_i = Σ_l Σ_t g_itᵀ D_l k_it is what D does to first order where the model is now. Where that ends, no
other change near it is cheaper: what gradients of earlier steps wrote, and those of later ones do not ask for, is gone.

Many facts are written some at a time, each leaving the keys of those before alone, and looked at again until all hold.

Besides its own a fact may have further rows, such as its consequences
(:mod:`easyedit_ice.editors.closed_form.consequences`), with aims of their own, which may be missed more freely: each
has its own ε. All rows are then in every solve, those that lack nothing with a lack of 0, so that what one of them asks
for is no loss to another.

Tokens that the same text ends with, as those of rows that begin alike, have one key, which is worked with once.

Shapes: n rows, t tokens of all of them, u texts that these end, in and out the widths of a projection.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import LowRankDelta
from easyedit_ice.edit.temporary_weights import temporarily
from easyedit_ice.editors.closed_form.linearised import Linearised, linearised
from easyedit_ice.editors.closed_form.metric import Metric
from easyedit_ice.editors.closed_form.solver import smallest
from easyedit_ice.model.anatomy import ModelAnatomy, Projection
from easyedit_ice.model.reentry import Below, lower_blocks
from easyedit_ice.runtime.progress import progress
from easyedit_ice.text.rows import Row

logger = logging.getLogger(__name__)

Deltas = dict[str, LowRankDelta]

_NEAR = 0.05
"""Log-odds that a fact may lack after the first step without another."""
_GOES_ON = 0.8
"""How much what is beside facts may lack of what it lacked a step before, for another step on its account."""
FEW_TOKENS = 512
"""Tokens up to which a step is solved in fp64; beyond it costs their square."""
PAIRED = 2048
"""Tokens whose pairs with all others are in memory at a time."""
_RIDGE = 1e-3
"""ε of a fact, in units of the mean of H's diagonal."""


@dataclass(frozen=True)
class Stepping:
    """How facts are written.

    Attributes:
        margin: log-odds that each fact shall have.
        num_steps: most steps for the facts that are written together.
        most_change: most that a step raises log-odds by: further away they are not linear.
        together: facts of a batch that are written together.
        sweeps: most times that a batch is looked at again.
        kept_weight: of the keys of facts written before, in the metrics of those after.
        anew: whether each step solves for the whole change of the facts that are written together.
    """

    margin: float
    num_steps: int
    most_change: float
    together: int
    sweeps: int
    kept_weight: float
    anew: bool = False


@dataclass(frozen=True)
class Aim:
    """What a row shall be besides the facts.

    Attributes:
        row: its predicted tokens.
        odds: log-odds that they shall have at least.
        slack: ε of this row, in units of the mean of H's diagonal.
    """

    row: Row
    odds: float
    slack: float


@dataclass(frozen=True)
class Stepped:
    """What was found.

    Attributes:
        deltas: by path of the projection.
        keys: of all facts, (n, in), by path.
        steps: that each fact took part in.
        odds: of each fact, when it was looked at last.
    """

    deltas: Deltas
    keys: dict[str, Tensor]
    steps: tuple[int, ...]
    odds: tuple[float, ...]


def write_by_steps(
    model: nn.Module,
    rows: Sequence[Row],
    places: Sequence[Sequence[int]],
    metrics: Mapping[str, Metric],
    stepping: Stepping,
    beside: Sequence[Sequence[Aim]] = (),
) -> Stepped:
    """Find the change that writes some facts.

    Args:
        model: in evaluation mode; left as it was.
        rows: one for each fact; its predicted tokens are the target.
        places: of each row, indices of tokens whose keys are its fact's.
        metrics: by path of the projections that are written to.
        stepping: how.
        beside: what each fact brings with it; nothing if left out.
    """
    parts = [
        range(start, min(start + stepping.together, len(rows))) for start in range(0, len(rows), stepping.together)
    ]
    aims = [Aim(row, stepping.margin, _RIDGE) for row in rows]
    deltas: Deltas = {}
    of_part = dict(metrics)
    keys: dict[str, list[Tensor]] = {name: [] for name in metrics}
    place = _place(model, list(metrics), rows[0].ids)
    steps, odds = [0] * len(rows), [0.0] * len(rows)
    for sweep in range(stepping.sweeps):
        taken = sum(steps)
        with progress(logger, f"facts, sweep {sweep + 1}", len(rows), "fact") as advance:
            for part in parts:
                others = [aim for fact in part for aim in beside[fact]] if beside else []
                deltas, state, due = _written(place, [aims[fact] for fact in part], others, deltas, of_part, stepping)
                for fact, count, value in zip(part, due, state.odds.tolist(), strict=False):
                    steps[fact] += count
                    odds[fact] = value
                if sweep == 0:
                    for name, read in _keys(state, [places[fact] for fact in part]).items():
                        keys[name].append(read)
                        if len(parts) > 1:
                            of_part[name] = of_part[name].keeping(read, stepping.kept_weight)
                advance(len(part))
        if len(parts) == 1 or sum(steps) == taken:
            break
    return Stepped(deltas, {name: torch.cat(read) for name, read in keys.items()}, tuple(steps), tuple(odds))


@dataclass(frozen=True)
class _Place:
    """Where is written.

    Attributes:
        model: in evaluation mode.
        projections: by path.
        lower: blocks below all of them that need not run again for the same rows.
    """

    model: nn.Module
    projections: Mapping[str, Projection]
    lower: Sequence[nn.Module]

    def looked_at(self, rows: Sequence[Row], deltas: Deltas, below: Below) -> Linearised:
        """Rows in the model with some deltas."""
        with temporarily([(self.projections[name], delta) for name, delta in deltas.items()]):
            return linearised(self.model, rows, list(self.projections), below)


def _place(model: nn.Module, names: Sequence[str], ids: Sequence[int]) -> _Place:
    anatomy = ModelAnatomy(model)
    projections = {name: anatomy.projection(name) for name in names}
    return _Place(model, projections, lower_blocks(model, list(projections.values()), ids))


def _written(
    place: _Place,
    facts: Sequence[Aim],
    beside: Sequence[Aim],
    deltas: Deltas,
    metrics: Mapping[str, Metric],
    stepping: Stepping,
) -> tuple[Deltas, Linearised, list[int]]:
    """Steps for some facts together: the deltas with these, all rows in the model with them, and steps of each fact.

    A step after which rows lack more than before is taken back, and a quarter of it tried. There are no more of them
    once all facts hold, and what is beside them comes closer by less than a fifth in a step.
    """
    aims = [*facts, *beside]
    rows, goals = [aim.row for aim in aims], torch.tensor([aim.odds for aim in aims])
    slacks = torch.tensor([aim.slack for aim in aims], dtype=torch.float64)
    counts, trust, last = [0] * len(facts), 1.0, math.inf
    below = Below(place.lower)
    state = place.looked_at(rows, deltas, below)
    change: Deltas = {}
    ever = torch.zeros(len(facts), dtype=torch.bool)
    for step in range(stepping.num_steps):
        lack = goals - state.odds
        due = lack[: len(facts)] > (_NEAR if step else 0.0)
        missed = lack[len(facts) :].clamp(min=0).sum().item()
        if not due.any() and not 0 < missed < _GOES_ON * last:
            break
        last = missed
        counts = [count + fact for count, fact in zip(counts, due.tolist(), strict=True)]
        ever = ever | due if stepping.anew else due
        chosen = torch.arange(len(aims)) if beside else ever.nonzero()[:, 0]
        if stepping.anew:
            wanted = lack[chosen].clamp(-stepping.most_change, stepping.most_change) + moved(state, chosen, change)
            change_now = _between(change, one_step(state, chosen, wanted, metrics, slacks[chosen]), trust)
        else:
            wanted = lack[chosen].clamp(0, trust * stepping.most_change)
            change_now = one_step(state, chosen, wanted, metrics, slacks[chosen])
        tried = _sums(deltas, change_now)
        after = place.looked_at(rows, tried, below)
        if (goals - after.odds).clamp(min=0).sum() < lack.clamp(min=0).sum():
            state, trust = after, min(2 * trust, 1.0)
            deltas, change = (deltas, change_now) if stepping.anew else (tried, {})
        else:
            trust /= 4
    return _sums(deltas, change), state, counts


def one_step(
    state: Linearised, rows: Tensor, lack: Tensor, metrics: Mapping[str, Metric], slacks: Tensor | None = None
) -> Deltas:
    """The cheapest change that raises the log-odds of some rows by what they lack, to first order.

    Args:
        state: the rows in the model as it is.
        rows: (m,), indices of those that it is to hold for.
        lack: (m,), how much.
        metrics: by path of the projections.
        slacks: (m,), ε of each, in units of the mean of H's diagonal; 0.001 if left out.
    """
    owners = state.owners()
    chosen = torch.isin(owners, rows)
    exact = torch.float64 if chosen.sum() <= FEW_TOKENS else torch.float32
    belongs = (owners[chosen][:, None] == rows).to(exact)  # (t, m)
    texts, at = state.first[chosen].unique(return_inverse=True)  # (u,), (t,)
    read: dict[str, Tensor] = {}
    worth: dict[str, Tensor] = {}
    gram = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for name, metric in metrics.items():
        keys, pulls = state.keys[name][texts].to(exact), state.pulls[name][chosen].to(exact)
        read[name] = keys @ metric.inward.to(exact)
        worth[name] = pulls if metric.outward is None else pulls @ metric.outward.to(exact)
        for part in torch.arange(len(pulls)).split(PAIRED):
            here, again = at[part].unique(return_inverse=True)
            pairs = (read[name][here] @ keys.T)[again][:, at] * (worth[name][part] @ pulls.T)
            gram += (belongs[part].T @ pairs @ belongs).double()
    gram = (gram + gram.T) / 2
    gram.diagonal().add_(gram.diagonal().mean() * (_RIDGE if slacks is None else slacks))
    strengths = torch.linalg.solve(gram, lack.double()).to(exact)
    written = {
        name: value.new_zeros(len(texts), value.shape[1]).index_add(0, at, value * (belongs @ strengths)[:, None])
        for name, value in worth.items()
    }
    return {name: smallest(read[name].float(), written[name].T.float()) for name in metrics}


def moved(state: Linearised, facts: Tensor, deltas: Deltas) -> Tensor:
    """By how much changes raise the log-odds of some facts, to first order: (m,).

    Args:
        state: the facts in the model as it is.
        facts: (m,), indices of them.
        deltas: the changes, by path of the projection.
    """
    whole = torch.zeros(len(state.odds))
    for name, delta in deltas.items():
        whole = whole.index_add(0, state.owners(), (delta.apply(state.keys[name]) * state.pulls[name]).sum(1))
    return whole[facts]


def _keys(state: Linearised, places: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Keys at some tokens of each row, (n, in) by path."""
    starts = torch.tensor((0, *state.tokens)).cumsum(0).tolist()
    at = [start + place for start, of_row in zip(starts, places, strict=False) for place in of_row]
    return {name: of_name[at].contiguous() for name, of_name in state.keys.items()}


def _sums(before: Deltas, more: Deltas) -> Deltas:
    """Both, projection by projection."""
    return dict(before) | {name: _sum(before.get(name), delta) for name, delta in more.items()}


def _between(before: Deltas, after: Deltas, share: float) -> Deltas:
    """A share of the way from some changes to others."""
    if share == 1 or not before:
        return {name: delta.scaled(share) for name, delta in after.items()}
    return _sums(
        {name: delta.scaled(1 - share) for name, delta in before.items()},
        {name: delta.scaled(share) for name, delta in after.items()},
    )


def _sum(before: LowRankDelta | None, more: LowRankDelta) -> LowRankDelta:
    """Both deltas as one, of no more rank than the matrix can have."""
    if before is None:
        return more
    if torch.equal(before.b, more.b):
        return LowRankDelta(before.a + more.a, before.b)
    return smallest(torch.cat([before.a, more.a]), torch.cat([before.b, more.b], dim=1))
