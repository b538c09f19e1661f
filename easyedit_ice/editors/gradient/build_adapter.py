"""The adapter that the settings ask for, where it starts, and what it must not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from easyedit_ice.editors.gradient.adapters import Adapter, AdapterSettings
from easyedit_ice.editors.gradient.objectives import Edit
from easyedit_ice.editors.gradient.protection.fact_keys import fact_keys
from easyedit_ice.editors.gradient.protection.projector import Protection, giving_way, outside, share_kept
from easyedit_ice.editors.gradient.protection.subspaces import ProtectionSettings
from easyedit_ice.editors.gradient.schedule import Schedule
from easyedit_ice.editors.gradient.trainer import Trained
from easyedit_ice.editors.gradient.weight_gradients import weight_gradients
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.text.rows import Row


@dataclass(frozen=True)
class AdapterInModel(Trained):
    """An adapter in its model.

    Attributes:
        gradient_kept: ρ of each projection: how much of the target's gradient protection leaves to be followed.
    """

    gradient_kept: Mapping[str, float] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Summary of what was trained, as plain values."""
        return self.adapter.report() | ({"gradient_kept": dict(self.gradient_kept)} if self.gradient_kept else {})


@dataclass(frozen=True)
class Protected:
    """What an edit must not read.

    Attributes:
        settings: of protection.
        rows: texts of which nothing shall be read, this once.
    """

    settings: ProtectionSettings
    rows: Sequence[Row]


def make_adapter(
    edit: Edit,
    projections: Sequence[Projection],
    rows: Sequence[Row],
    settings: AdapterSettings,
    schedule: Schedule,
    protected: Protected | None = None,
) -> AdapterInModel:
    """Put the adapter into the model.

    Args:
        edit: its model gets the adapter.
        projections: that are changed.
        rows: the facts with their targets, whose gradient tells ranks, the start, and how far protection gives way.
        settings: of the adapter.
        schedule: of its training.
        protected: what it must not read, if anything.

    Raises:
        HyperParamsError: a rank is greater than any that the projections' matrices can have.
    """
    _refuse_ranks(projections, settings.ranks)
    names = [projection.name for projection in projections]
    factors = {} if protected is None else _factors(edit, projections, protected)
    unwritten = {} if protected is None else protected.settings.unwritten(edit.model, edit.tok, projections)
    gradients: dict[str, Tensor] = {}
    if settings.needs_gradient or factors:
        gradients = weight_gradients(edit.model, projections, rows, side_by_side=schedule.micro_batch_size)
    shares: dict[str, float] = {}
    if protected is not None:
        shares = {name: share_kept(gradients[name], factors[name]) for name in names}
        if protected.settings.protection == "hard":
            least = protected.settings.least_gradient
            factors = {name: giving_way(factors[name], shares[name], least) for name in names}
        gradients = {name: outside(gradients[name], factors[name]) for name in names}
    keys: dict[str, Tensor] = {}
    if settings.starts_along_keys:
        stated: dict[str, Any] = {"append_eos": edit.append_eos, "prefixes": edit.prefixes}
        keys = fact_keys(edit.model, edit.tok, edit.requests, names, **stated)
    steps = schedule.most_steps(len(edit.requests))
    adapter = settings.build_adapter(edit.model, projections, steps=steps, gradients=gradients)
    if keys:
        _start_along(adapter, keys, factors)
    elif factors:
        _start_clear_of(adapter, factors)
    protection = Protection(adapter, factors, unwritten) if factors else None
    settings.start_adapter(adapter, gradients)
    return AdapterInModel(adapter, protection, settings.bound, shares)


def _refuse_ranks(projections: Sequence[Projection], ranks: Mapping[str, int]) -> None:
    """Refuse ranks beyond those of the largest matrix: such factors hold more than the matrix, up to any amount."""
    largest = max(projections, key=lambda projection: min(projection.in_features, projection.out_features))
    most = min(largest.in_features, largest.out_features)
    for name, rank in ranks.items():
        if rank > most:
            raise HyperParamsError(
                f"{name} is {rank}, and {largest.name} maps {largest.in_features} to {largest.out_features} features, "
                f"so that its change has a rank of {most} at most; lower {name}"
            )


def _factors(edit: Edit, projections: Sequence[Projection], protected: Protected) -> dict[str, Tensor]:
    return protected.settings.factors(edit.model, edit.tok, projections, protected.rows)


@torch.no_grad()
def _start_along(adapter: Adapter, keys: Mapping[str, Tensor], factors: Mapping[str, Tensor]) -> None:
    """Let A read the leading directions of the facts' own keys, as far as they are not protected."""
    for name, reader in adapter.readers().items():
        inputs = keys[name] if name not in factors else outside(keys[name], factors[name])
        _, energies, directions = torch.linalg.svd(inputs, full_matrices=False)
        count = min(len(reader), len(directions))
        reader.zero_()
        reader[:count] = directions[:count] * (energies[:count] / energies[0].clamp(min=1e-12))[:, None]


@torch.no_grad()
def _start_clear_of(adapter: Adapter, factors: Mapping[str, Tensor]) -> None:
    """Take what is protected out of what A reads."""
    for name, reader in adapter.readers().items():
        reader.copy_(outside(reader, factors[name]))
