"""The adapter that the settings ask for, where it starts, and what it must not read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.anatomy import ModelAnatomy, Projection
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.moments.measured import Measuring
from easyedit_ice.requests import EditRequest
from easyedit_ice.spectra import spectra
from easyedit_ice.text.rows import Row
from easyedit_ice.training.adapters import (
    Adapter,
    AdaptiveAdapter,
    Budget,
    DecomposedAdapter,
    DenseAdapter,
    LowRankAdapter,
    SpectralAdapter,
    places_of,
)
from easyedit_ice.training.gradients import weight_gradients
from easyedit_ice.training.keys import fact_keys, text_keys
from easyedit_ice.training.protection import Protection, giving_way, kept, share_kept
from easyedit_ice.training.published_gora import allocated_ranks, start_down_the_gradient
from easyedit_ice.training.settings import TrainingHyperParams
from easyedit_ice.training.subspaces import Beside, Protecting, general_subspaces, subspaces


@dataclass(frozen=True)
class Made:
    """An adapter in its model.

    Attributes:
        adapter: what is trained.
        protection: of what it must not read, if anything.
        gradient_kept: ρ of each projection: how much of the target's gradient protection leaves to be followed.
    """

    adapter: Adapter
    protection: Protection | None = None
    gradient_kept: Mapping[str, float] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """What became of it, as plain values."""
        return self.adapter.report() | ({"gradient_kept": dict(self.gradient_kept)} if self.gradient_kept else {})


def projections_of(model: nn.Module, hparams: TrainingHyperParams) -> tuple[Projection, ...]:
    """The projections that are changed.

    Raises:
        AnatomyError: ``target_modules`` or ``layers`` match nothing in the model.
    """
    anatomy = ModelAnatomy(model)
    layers = hparams.usual_layers(anatomy.num_layers) if hparams.layers is None else hparams.layers
    return anatomy.match(hparams.target_modules, layers)


def prepare(model: nn.Module, tok: Any, hparams: TrainingHyperParams) -> None:
    """Find what is protected of general text, and singular values, on the model before any edit."""
    if hparams.adapter == "svf":
        spectra(model, projections_of(model, hparams), hparams.svd, hparams.svd_rank)
    if hparams.protection != "none":
        model.eval()
        names = [projection.name for projection in projections_of(model, hparams)]
        general_subspaces(model, tok, names, _protecting(hparams))


def made(
    model: nn.Module,
    tok: Any,
    requests: Sequence[EditRequest],
    projections: Sequence[Projection],
    rows: Sequence[Row],
    prefixes: Sequence[str],
    protected: Sequence[Row],
    hparams: TrainingHyperParams,
) -> Made:
    """Put the adapter into the model.

    Args:
        model: gets the adapter.
        tok: its tokenizer.
        requests: the facts.
        projections: that are changed.
        rows: the facts with their targets, whose gradient tells ranks, the start, and how far protection gives way.
        prefixes: texts that the facts are stated behind as well.
        protected: texts of which nothing shall be read, besides what the settings' protection tells.
        hparams: of all that.

    Raises:
        HyperParamsError: a rank is greater than any that the projections' matrices can have.
    """
    _refuse_ranks(projections, hparams)
    factors: dict[str, Tensor] = {}
    gradients: dict[str, Tensor] = {}
    shares: dict[str, float] = {}
    names = [projection.name for projection in projections]
    if hparams.protection != "none":
        factors = subspaces(model, tok, projections, _protecting(hparams), _beside(model, protected, names, hparams))
    if hparams.needs_gradient:
        gradients = weight_gradients(model, projections, rows, side_by_side=hparams.micro_batch_size)
    if factors:
        shares = {name: share_kept(gradients[name], factors[name]) for name in names}
        if hparams.protection == "hard":
            factors = {name: giving_way(factors[name], shares[name], hparams.least_gradient) for name in names}
        gradients = {name: kept(gradients[name], factors[name]) for name in names}
    keys: dict[str, Tensor] = {}
    if hparams.init == "keys":
        keys = fact_keys(model, tok, requests, names, append_eos=hparams.append_eos, prefixes=prefixes)
    adapter = _adapter(model, projections, len(requests), hparams, gradients)
    if keys:
        _start_along(adapter, keys, factors)
    elif factors:
        _start_clear_of(adapter, factors)
    protection = Protection(adapter, factors) if factors else None
    if hparams.init == "gora":
        start_down_the_gradient(adapter, gradients, hparams.init_gain)
    return Made(adapter, protection, shares)


def _refuse_ranks(projections: Sequence[Projection], hparams: TrainingHyperParams) -> None:
    """Refuse ranks beyond those of the largest matrix: such factors hold more than the matrix, up to any amount."""
    if hparams.adapter in ("dense", "svf"):
        return
    largest = max(projections, key=lambda own: min(own.in_features, own.out_features))
    most = min(largest.in_features, largest.out_features)
    asked = {"rank": hparams.rank}
    if hparams.adapter == "adalora":
        asked["init_r"] = budget_of(1, hparams).start
    for name, rank in asked.items():
        if rank > most:
            raise HyperParamsError(
                f"{name} is {rank}, and {largest.name} maps {largest.in_features} to {largest.out_features} features, "
                f"so that its change has a rank of {most} at most; lower {name}"
            )


def _adapter(
    model: nn.Module,
    projections: Sequence[Projection],
    facts: int,
    hparams: TrainingHyperParams,
    gradients: Mapping[str, Tensor],
) -> Adapter:
    shared = {"alpha": hparams.lora_alpha, "dropout": hparams.lora_dropout}
    match hparams.adapter:
        case "lora":
            ranks = None
            if hparams.rank_allocation == "gora":
                bounds = {"least": hparams.rank_min, "most": hparams.rank_max}
                ranks = allocated_ranks(projections, gradients, rank=hparams.rank, **bounds)
            return LowRankAdapter(model, projections, rank=hparams.rank, ranks=ranks, **shared)
        case "dora":
            return DecomposedAdapter(model, projections, rank=hparams.rank, **shared)
        case "adalora":
            return AdaptiveAdapter(model, projections, budget=budget_of(facts, hparams), **shared)
        case "svf":
            return _spectral(model, projections, hparams, gradients)
        case _:
            return DenseAdapter(model, projections)


def _spectral(
    model: nn.Module,
    projections: Sequence[Projection],
    hparams: TrainingHyperParams,
    gradients: Mapping[str, Tensor],
) -> SpectralAdapter:
    found = spectra(model, projections, hparams.svd, hparams.svd_rank)
    places = {
        name: places_of(spectrum, hparams.spectral_form, hparams.off_diagonals, gradients.get(name))
        for name, spectrum in found.items()
    }
    return SpectralAdapter(model, projections, spectra=found, places=places, sum_normalised=hparams.sum_normalised)


def budget_of(facts: int, hparams: TrainingHyperParams) -> Budget:
    """AdaLoRA's schedule, over as many optimiser steps as ``num_steps`` passes over the facts may have."""
    total = hparams.num_steps * math.ceil(facts / hparams.mini_batch_size)
    return Budget(
        start=math.ceil(1.5 * hparams.rank) if hparams.init_r is None else hparams.init_r,
        target=hparams.rank,
        total=total,
        tinit=total // 10 if hparams.tinit is None else hparams.tinit,
        tfinal=total // 2 if hparams.tfinal is None else hparams.tfinal,
        interval=hparams.deltaT,
        orthogonality=hparams.orth_reg_weight,
    )


@torch.no_grad()
def _start_along(adapter: Adapter, keys: Mapping[str, Tensor], factors: Mapping[str, Tensor]) -> None:
    """Let A read the leading directions of the facts' own keys, as far as they are not protected."""
    for name, reader in adapter.readers().items():
        own = keys[name] if name not in factors else kept(keys[name], factors[name])
        _, energies, directions = torch.linalg.svd(own, full_matrices=False)
        count = min(len(reader), len(directions))
        reader.zero_()
        reader[:count] = directions[:count] * (energies[:count] / energies[0].clamp(min=1e-12))[:, None]


@torch.no_grad()
def _start_clear_of(adapter: Adapter, factors: Mapping[str, Tensor]) -> None:
    """Take what is protected out of what A reads."""
    for name, reader in adapter.readers().items():
        reader.copy_(kept(reader, factors[name]))


def _beside(
    model: nn.Module, protected: Sequence[Row], names: Sequence[str], hparams: TrainingHyperParams
) -> Beside | None:
    """What this solve alone protects: all that is read of some texts, if there are any."""
    return Beside(text_keys(model, protected, names), hparams.neighbour_softness) if protected else None


def _protecting(hparams: TrainingHyperParams) -> Protecting:
    return Protecting(
        hparams.protection,
        hparams.protected_energy,
        hparams.protected_rank,
        hparams.softness,
        hparams.memory_softness,
        hparams.memory_energy,
        hparams.memory_rank,
        Measuring(hparams.mom2_dataset, dynamic_multiplier=hparams.dynamic_multiplier),
    )
