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
from torch import Tensor, nn

from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.sections import other_default
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form.closed_form_memory import plan_search
from easyedit_ice.editors.closed_form.layer_writes import KeptKeys, LayerWrites, write_facts
from easyedit_ice.editors.closed_form.near_subjects import near_keys
from easyedit_ice.editors.closed_form.neighbour_rows import NeighbourSettings, neighbour_keys
from easyedit_ice.editors.closed_form.open_directions import DirectionSettings, Open, opened
from easyedit_ice.editors.closed_form.outcome import not_written, stated
from easyedit_ice.editors.closed_form.sensitivity import OutputSettings, cheapness
from easyedit_ice.editors.closed_form.solver_settings import (
    ClosedFormSettings,
    PassSettings,
    factors_of,
    measuring_of,
    place_of,
    second_moments,
)
from easyedit_ice.editors.closed_form.value_search import Search
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.prefixes import context_prefixes

_CLAMP = 4.0
"""Most that a value may move in a sweep, in norms of what the projection wrote, where nothing is said."""
_SWEEPS = 4
"""Most sweeps, where facts are not written: each moves a value further, so that it goes no further than it must."""
_CLOSER = 0.1
"""How much of what the first sweep was to miss the later ones may miss."""


@dataclass
class FastMEMITHyperParams(NeighbourSettings, DirectionSettings, OutputSettings, PassSettings, ClosedFormSettings):
    """Settings of FastMEMIT, with EasyEdit's names."""

    gentler = "raise mom2_update_weight, lower clamp_norm_factor, or name other layers"
    stronger = "raise v_num_grad_steps or clamp_norm_factor, or lower mom2_update_weight"
    wider = "raise how many texts context_template_length_params asks for"

    fact_token: str = setting(
        "subject_last",
        "token at which a fact is looked up: the subject's last, or the next where that is the first of a text",
        choices=("subject_last",),
    )
    v_num_grad_steps: int = setting(25, "most evaluations of a value's loss", low=1)
    v_lr: float | None = setting(
        None, "learning rate of Adam for a value; None for steps by what the odds of the target lack", above=0
    )
    v_loss_layer: int | None = setting(None, "block from which a value's loss is read; None for the last")
    v_weight_decay: float = setting(0.0, "weight of a value's change in its loss", low=0)
    v_stop_loss: float = setting(0.02, "a value is found when its loss is below this, in nats", low=0)
    v_stop_lead: float | None = setting(
        None,
        "ENCORE: a value is found as well when every token of the target leads by so many nats in every context; None "
        "for the loss alone",
        low=0,
    )
    output_adjustment: bool = setting(
        False,
        "let each step of a value's search, where v_lr is None, be the one that general text's predictions depend on "
        "least; otherwise the shortest",
    )
    output_score: str = other_default(OutputSettings, "output_score", "odds")
    output_shrinkage: float = other_default(OutputSettings, "output_shrinkage", 0.1)
    near_tokens: int = setting(
        0,
        "tokens with the embeddings nearest to that of a subject's last, put in its place, so that what names which "
        "end like it look up stays; they weigh as neighbour_weight says; 0 for none",
        low=0,
    )
    natural_norm: bool = setting(False, "NAS: give what the value makes of the hidden state the norm that it had")
    clamp_norm_factor: float | None = setting(
        None,
        "bound on a value's change, in norms of what the block returned, or the projection wrote if a norm or factor "
        "stands between; None for four norms of what the projection wrote in each sweep",
        above=0,
    )
    kl_factor: float = setting(0.0625, "weight of the divergence of what follows the bare subject", low=0)
    context_template_length_params: list[list[int]] = setting(
        [[10, 5]], "texts of the model's own that facts are stated after: pairs of a length in tokens and how many"
    )
    context_seed: int = setting(0, "seed of these texts", low=0)
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
        """Refuse texts of no length, and a correction that divides by zero."""
        for pair in self.context_template_length_params:
            if len(pair) != 2 or min(pair) < 1:
                raise HyperParamsError(
                    f"context_template_length_params holds {pair}; expected [length in tokens, how many], both positive"
                )
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
                _search(model, tok, hparams, scale),
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
    lengths = tuple(map(tuple, hparams.context_template_length_params))
    prefixes = baseline_of(model).tables["prefixes"]
    if (lengths, hparams.context_seed) not in prefixes:
        prefixes[lengths, hparams.context_seed] = context_prefixes(model, tok, lengths, hparams.context_seed)
    whole = factors_of(model, tok, hparams, weight=hparams.weight, ridge=hparams.update_norm_lambda)
    _cheapness(model, tok, hparams)  # measured before any edit, and kept with the model
    directions = opened(model, tok, whole, measuring_of(hparams), hparams.section(DirectionSettings))
    return prefixes[lengths, hparams.context_seed], directions


def _search(
    model: nn.Module, tok: Tokenizer, hparams: FastMEMITHyperParams, scale: Literal["block", "projection"]
) -> Search:
    last = None if hparams.v_loss_layer is None else ModelAnatomy(model).layer_index(hparams.v_loss_layer)
    return Search(
        num_grad_steps=hparams.v_num_grad_steps,
        lr=hparams.v_lr,
        weight_decay=hparams.v_weight_decay,
        kl_factor=hparams.kl_factor,
        clamp_norm_factor=_CLAMP if hparams.clamp_norm_factor is None else hparams.clamp_norm_factor,
        stop_loss=hparams.v_stop_loss,
        loss_layer=last,
        scale="projection" if hparams.clamp_norm_factor is None else scale,
        stop_lead=hparams.v_stop_lead,
        natural_norm=hparams.natural_norm,
        together=hparams.tokens_together,
        cheapness=_cheapness(model, tok, hparams),
    )


def _cheapness(model: nn.Module, tok: Tokenizer, hparams: FastMEMITHyperParams) -> dict[str, Tensor]:
    """What the steps are priced by, if they are."""
    if not hparams.output_adjustment or hparams.v_lr is not None:
        return {}
    names, measuring = place_of(model, hparams).names, measuring_of(hparams)
    return cheapness(model, tok, names, measuring, hparams.output_score, hparams.output_shrinkage)


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
