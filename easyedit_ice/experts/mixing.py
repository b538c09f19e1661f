"""Experts mixed: ΔW = Σ α_k ΔW_k, which is one change of the same singular values.

Transformer² (Sun et al. 2025, arXiv 2501.06252) mixes its vectors z in the same way; where it normalises
afterwards, so that only ratios of α count, here α are taken as they are. Shapes: K experts, L projections that any of
them changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import Delta
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import ExpertError
from easyedit_ice.experts.expert import Expert

Alphas = Tensor | Sequence[float] | Mapping[str, float | Mapping[str, float]]
"""By expert, in their order or by name, and there by module path; or a tensor (K,) or (K, L).

Experts and modules that a mapping does not name have α = 0."""


def mixed(experts: Sequence[Expert], alphas: Alphas, model: nn.Module) -> WeightUpdate:
    """The mixture as a change of a model.

    Args:
        experts: of this model.
        alphas: of each expert, or of each expert and projection, the latter in the order of :func:`modules_of`.
        model: may have been edited since it was first seen.

    Raises:
        ExpertError: an expert is of another model, or they cannot be mixed with each other or in this way.
    """
    check_mixable(experts)
    table = alpha_table(alphas, experts)
    updates = [expert.update(model) for expert in experts]
    deltas: dict[str, Delta] = {}
    for place, path in enumerate(modules_of(experts)):
        parts = [
            update.deltas[path].scaled(table[number, place].item())
            for number, update in enumerate(updates)
            if path in update.deltas
        ]
        deltas[path] = reduce(Delta.plus, parts)
    info = {"experts": [expert.name for expert in experts], "alphas": table.tolist(), "modules": list(deltas)}
    return WeightUpdate(deltas, info)


def modules_of(experts: Sequence[Expert]) -> tuple[str, ...]:
    """Paths of the projections that any of the experts changes, in the order in which they come up."""
    return tuple(dict.fromkeys(path for expert in experts for path in expert.modules))


def check_mixable(experts: Sequence[Expert]) -> None:
    """Refuse experts that cannot be told apart or added.

    Raises:
        ExpertError: there are none, two have one name, or their weights were decomposed in different ways.
    """
    if not experts:
        raise ExpertError("there are no experts; give at least one")
    names = [expert.name for expert in experts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ExpertError(f"{', '.join(twice)}: several experts have this name; load them under different ones")
    ways = {expert.name: (expert.svd, expert.svd_rank) for expert in experts}
    if len(set(ways.values())) > 1:
        raise ExpertError(
            f"experts of different decompositions do not mix: {ways}; train them with one svd and svd_rank"
        )


def alpha_table(alphas: Alphas, experts: Sequence[Expert]) -> Tensor:
    """Alphas of each expert and projection: (K, L) in fp32.

    Raises:
        ExpertError: they are of other experts, modules or shapes, or not finite.
    """
    modules = modules_of(experts)
    if isinstance(alphas, Mapping):
        table = _by_name(alphas, [expert.name for expert in experts], modules)
    else:
        table = torch.as_tensor(alphas, dtype=torch.float32).cpu()
    if table.ndim == 1:
        table = table[:, None].expand(-1, len(modules))
    if table.shape != (len(experts), len(modules)):
        raise ExpertError(
            f"alphas of shape {tuple(table.shape)} do not fit; expected one for each of {len(experts)} experts, or "
            f"for each of these and {len(modules)} projections"
        )
    if not table.isfinite().all():
        raise ExpertError(f"alphas are {table.tolist()}; expected finite numbers")
    return table.clone()


def _by_name(alphas: Mapping[str, float | Mapping[str, float]], names: list[str], modules: Sequence[str]) -> Tensor:
    _refuse_others(alphas, names, "expert")
    table = torch.zeros(len(names), len(modules))
    for row, name in enumerate(names):
        weights = alphas.get(name, 0.0)
        if not isinstance(weights, Mapping):
            table[row] = float(weights)
            continue
        _refuse_others(weights, modules, "projection")
        for column, path in enumerate(modules):
            table[row, column] = float(weights.get(path, 0.0))
    return table


def _refuse_others(names: Mapping[str, object], choices: Sequence[str], kind: str) -> None:
    others = [name for name in names if name not in choices]
    if others:
        raise ExpertError(f"there is no {kind} {', '.join(map(repr, others))}; there are {', '.join(choices)}")
