"""FastMEMIT: MEMIT with second moments of ``dynamic_multiplier`` × d tokens, and values sought side by side.

MEMIT: Meng et al. 2023, arXiv 2210.07229. Few tokens: Gupta et al. 2025, arXiv 2506.04226. This is also the home of
what FastEMMET and FastROME share with it; the equation of all three is in :mod:`easyedit_ice.precompute.factors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form.closed_form_memory import plan_search
from easyedit_ice.editors.closed_form.layer_writes import KeptKeys, LayerWrites, write_facts
from easyedit_ice.editors.closed_form.near_subjects import near_keys
from easyedit_ice.editors.closed_form.neighbour_rows import NeighbourSettings, neighbour_keys
from easyedit_ice.editors.closed_form.open_directions import DirectionSettings, Open, opened
from easyedit_ice.editors.closed_form.outcome import not_written, stated
from easyedit_ice.editors.closed_form.search_settings import SearchSettings, prefixes_of, prices_of, search_of
from easyedit_ice.editors.closed_form.solver_settings import factors_of, measuring_of, place_of, second_moments
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.tokenizer import Tokenizer

_SWEEPS = 4
"""Most sweeps, where facts are not written: each moves a value further, so that it goes no further than it must."""
_CLOSER = 0.1
"""How much of what the first sweep was to miss the later ones may miss."""


@dataclass
class FastMEMITHyperParams(NeighbourSettings, DirectionSettings, SearchSettings):
    """Settings of FastMEMIT, with EasyEdit's names."""

    gentler = "raise mom2_update_weight, lower clamp_norm_factor, or name other layers"
    stronger = "raise v_num_grad_steps or clamp_norm_factor, or lower mom2_update_weight"
    wider = "raise how many texts context_template_length_params asks for"

    near_tokens: int = setting(
        0,
        "tokens with the embeddings nearest to that of a subject's last, put in its place, so that what names which "
        "end like it look up stays; they weigh as neighbour_weight says; 0 for none",
        low=0,
    )
    mom2_update_weight: float | None = setting(
        None,
        "λ: weight of general keys against those of the facts; None for the largest with which write_share is reached",
        above=0,
    )
    write_share: float = setting(
        0.99,
        "share of what the values lack that the solve is to write by its own prediction, where mom2_update_weight is "
        "None; facts that are not written get up to three more sweeps, which may miss a tenth as much",
        above=0,
        high=0.9999,
    )
    mom2_correction: bool = setting(
        False, "raise mom2_update_weight by m / (m - 1), where m is dynamic_multiplier, for what few tokens hide"
    )
    kept_weight: float = setting(
        1.0, "weight of each key of an earlier edit, where that of a fact's own is 1 and keep_edits is true", above=0
    )
    update_norm_lambda: float = setting(0.0, "ε: ridge on the weighted second moment", low=0)

    def check(self) -> None:
        """Refuse a correction that divides by zero."""
        if self.mom2_correction and self.dynamic and self.dynamic_multiplier < 2:
            raise HyperParamsError(
                f"dynamic_multiplier is {self.dynamic_multiplier}, and mom2_correction divides by one less; raise it "
                "to 2 or more"
            )

    def usual_layers(self, count: int) -> list[int]:
        """From an eighth to a quarter of the depth: in Llama's 32 blocks those that MEMIT's authors write to."""
        return list(range(round(count / 8), self.usual_layer(count) + 1))

    @property
    def weight(self) -> float:
        """λ, corrected if asked for; 1 where it is found for each write."""
        if self.mom2_update_weight is None:
            return 1.0
        corrected = self.mom2_correction and self.dynamic
        return self.mom2_update_weight * (self.dynamic_multiplier / (self.dynamic_multiplier - 1) if corrected else 1.0)

    @property
    def shares(self) -> tuple[float | None, ...]:
        """What each sweep is to write of what is missing before it; ``None`` where λ is given, and one is all."""
        if self.mom2_update_weight is not None:
            return (None,)
        return self.write_share, *[1 - _CLOSER * (1 - self.write_share)] * (_SWEEPS - 1)


def solve(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: FastMEMITHyperParams
) -> WeightUpdate:
    """Write all facts together.

    Raises:
        AnatomyError: the model has no such layers or projections.
        StatisticsError: the second moments are damaged, or cannot be inverted.
        DataError: there is no such text for them, or not enough of it.
    """
    return solve_closed_form(model, tok, requests, hparams, alpha=1.0)


def solve_closed_form(
    model: nn.Module,
    tok: Tokenizer,
    requests: Sequence[EditRequest],
    hparams: FastMEMITHyperParams,
    *,
    alpha: float,
    scale: Literal["block", "projection"] = "block",
) -> WeightUpdate:
    """Find the update of MEMIT, EMMET or ROME.

    Args:
        model: any causal language model; the caller restores it.
        tok: its tokenizer.
        requests: facts with subjects.
        hparams: settings.
        alpha: α of the solver.
        scale: whose output's norm bounds a value: the ``"block"``'s, or the ``"projection"``'s.
    """
    model.eval()
    place = place_of(model, hparams)
    prefixes, solvers = prepare(model, tok, hparams)
    named = neighbour_keys(model, tok, requests, hparams.section(NeighbourSettings), hparams.mom2_dataset, place.names)
    near = near_keys(model, tok, requests, place.names, hparams.near_tokens, hparams.tokens_together)
    beside = {name: torch.cat([keys[name] for keys in (named, near) if keys]) for name in {**named, **near}}
    others = KeptKeys(
        hparams.kept_weight if hparams.keep_edits else 0.0, beside, hparams.neighbour_weight * hparams.weight
    )
    before = stated(model, tok, requests)
    sweeps: list[LayerWrites] = []
    with ExitStack() as committed:
        for share in hparams.shares:
            written = write_facts(
                model,
                tok,
                requests,
                prefixes,
                place,
                solvers,
                search_of(model, tok, hparams, scale),
                alpha=alpha,
                share=share,
                kept_keys=others,
            )
            sweeps.append(written)
            committed.enter_context(WeightUpdate(written.deltas).applied(model))
            after = stated(model, tok, requests)
            if all(after.likeliest):
                break
    info = {
        "algorithm": hparams.alg_name,
        "hparams": hparams.to_dict(),
        "facts": [[request.prompt, request.target_new] for request in requests],
        "course": {
            "losses": sweeps[-1].of_requests(sweeps[-1].values.losses),
            "steps": [sum(steps) for steps in zip(*(s.of_requests(s.values.steps) for s in sweeps), strict=True)],
            "weights": [sweep.weights for sweep in sweeps],
        },
        "target_nll": {"before": before.nll, "after": after.nll},
    }
    if missed := not_written(requests, after):
        info["not_written"] = missed
    return WeightUpdate(WeightUpdate.total(WeightUpdate(sweep.deltas) for sweep in sweeps).deltas, info, sweeps[0].keys)


def prepare(model: nn.Module, tok: Tokenizer, hparams: FastMEMITHyperParams) -> tuple[tuple[str, ...], dict[str, Open]]:
    """Do what is done once, on the model before any edit: context prefixes, factored second moments,
    and the directions that are open.

    What is found stays with the model object; later calls, when edits have added up, return the same.
    """
    model.eval()
    prefixes = prefixes_of(model, tok, hparams)
    whole = factors_of(model, tok, hparams, weight=hparams.weight, ridge=hparams.update_norm_lambda)
    prices_of(model, tok, hparams)
    directions = opened(model, tok, whole, measuring_of(hparams), hparams.section(DirectionSettings))
    return prefixes, directions


ALGORITHM = Algorithm(
    name="FastMEMIT",
    hparams=FastMEMITHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan_search,
    second_moments=second_moments,
    needs_subject=True,
    summary="mass editing in closed form, with second moments of few tokens",
)
