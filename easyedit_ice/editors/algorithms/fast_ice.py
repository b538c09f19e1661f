"""FastICE: in-context editing in closed form, by forward passes alone.

ICE (Qi et al. 2024, arXiv 2406.11194) trains a model towards what it says after a context that states the new fact.
FastICE writes what that context adds to one block's output (:mod:`easyedit_ice.editors.closed_form.contrast`) into the
block's projection by MEMIT's solve (:mod:`easyedit_ice.editors.closed_form.solver`), with rows besides that shall stay
as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from easyedit_ice.edit.history import edits_in
from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.plain_statements import KEPT, statements
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form.closed_form_memory import Read, plan_reading
from easyedit_ice.editors.closed_form.contrast import Contrast, Taught, contrast, old_answers, read, taught
from easyedit_ice.editors.closed_form.gains import gain_after_norm, sought_before, towards_targets
from easyedit_ice.editors.closed_form.layer_writes import Place
from easyedit_ice.editors.closed_form.neighbour_rows import neighbour_rows
from easyedit_ice.editors.closed_form.outcome import not_written, stated
from easyedit_ice.editors.closed_form.scales import least_scales
from easyedit_ice.editors.closed_form.solver import readers, written_by
from easyedit_ice.editors.closed_form.solver_settings import (
    ClosedFormSettings,
    PassSettings,
    factors_of,
    place_of,
    second_moments,
)
from easyedit_ice.editors.gradient.contexts import check_templates, filled
from easyedit_ice.editors.gradient.wordings import WORDINGS, followed_wordings
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.planning.footprint import Device, Footprint
from easyedit_ice.text.chat import asking_for


@dataclass
class FastICEHyperParams(PassSettings, ClosedFormSettings):
    """Settings of FastICE."""

    gentler = "raise mom2_update_weight or kept_weight, or lower margin"
    stronger = "raise margin, or lower kept_weight or mom2_update_weight"
    wider = "raise least_scale"

    depth: float = setting(
        0.93, "where layers is None: the block that is written to, of the way through the model", low=0, high=1
    )
    context_templates: list[str] | None = setting(
        None,
        "context statements, with {fact}, or {prompt} and {target}, in place of the fact; None for those that the "
        "model follows, measured once",
    )
    margin: float = setting(
        0.5, "by how much each token of a target must lead in the edited model, in nats: how strongly facts are written"
    )
    least_scale: float = setting(
        0.25,
        "least multiple of what contexts add that is written, also where less would do: more carries a fact further, "
        "into other wordings and into other subjects",
        above=0,
    )
    mom2_update_weight: float = setting(1.0, "λ: weight of general keys against those of the facts", above=0)
    kept_weight: float = setting(
        10.0,
        "w: weight of each key that shall stay as it is, against those of the facts; neighbours of a batch share it",
        above=0,
    )
    neighbour_names: int = setting(
        16, "names in place of the subject, from general text, that stay: those that the model is surest about", low=0
    )
    neighbour_length: int = setting(1, "tokens after each such prompt", low=1)

    def check(self) -> None:
        """Refuse several blocks, and templates that do not state a fact."""
        check_templates(self.context_templates)
        if self.layers is not None and len(self.layers) != 1:
            raise HyperParamsError(f"layers is {self.layers}; FastICE writes to one block: name one, or none")

    @property
    def teaches_itself(self) -> bool:
        """By what contexts add."""
        return True

    def usual_layer(self, count: int) -> int:
        """The block at ``depth``, of so many."""
        return round(self.depth * (count - 1))


def solve(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: FastICEHyperParams
) -> WeightUpdate:
    """Write all facts together.

    Raises:
        AnatomyError: the model has no such layer or projection.
        StatisticsError: the second moment is damaged, or cannot be inverted.
        DataError: there is no such text for it, or not enough of it.
    """
    model.eval()
    place, before = place_of(model, hparams), stated(model, tok, requests)
    (name,), (block,) = place.names, place.blocks
    facts = _taught(model, tok, requests, hparams)
    contrasts = contrast(model, facts, name, block, hparams.tokens_together)
    others, weights = _other_keys(model, tok, requests, hparams, name)
    factor = factors_of(model, tok, hparams)[name]
    reading = readers(factor, contrasts.keys, 1.0, others, hparams.mom2_update_weight, weights)
    headed = {fact for fact, followed in enumerate(contrasts.followed) if not followed}
    while True:
        update_of = partial(_update, name, contrasts, reading, _residuals(model, facts, contrasts, headed, place))
        scaled = least_scales(model, tok, requests, update_of, margin=hparams.margin, least=hparams.least_scale)
        missed = {fact for fact, lead in enumerate(scaled.after.leads) if lead <= 0} - headed
        if not missed:
            break
        headed |= missed
    info = {
        "algorithm": hparams.alg_name,
        "hparams": hparams.to_dict(),
        "facts": [[request.prompt, request.target_new] for request in requests],
        "course": {"scales": list(scaled.scales), "headed": sorted(headed)},
        "target_nll": {"before": before.nll, "after": scaled.after.nll},
    }
    if said := not_written(requests, scaled.after):
        info["not_written"] = said
    return replace(update_of(scaled.scales), info=info)


def prepare(model: nn.Module, tok: Tokenizer, hparams: FastICEHyperParams) -> None:
    """Do what is done once, on the model before any edit: second moments, and the wordings that it follows."""
    model.eval()
    factors_of(model, tok, hparams)
    if hparams.context_templates is None:
        followed_wordings(model, tok, asking_for(tok, hparams.chat))


def _taught(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: FastICEHyperParams
) -> list[Taught]:
    """The facts after contexts, of the new and of the old."""
    wordings = hparams.context_templates or followed_wordings(model, tok, requests[0].asking)
    longest = ModelAnatomy(model).context_length
    return [
        taught(tok, request, old, wordings, filled, longest)
        for request, old in zip(requests, old_answers(model, tok, requests), strict=True)
    ]


def _other_keys(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: FastICEHyperParams, name: str
) -> tuple[Tensor, Tensor]:
    """Keys that shall stay as they are, (m, in), and their weights, (m,): of neighbours, of plain statements, and of
    earlier edits.

    Neighbours of many facts together would leave no direction to write in, so that those of a batch share the weight of
    one fact's.
    """
    weight, width = hparams.kept_weight, ModelAnatomy(model).projection(name).in_features
    count, length = hparams.neighbour_names, hparams.neighbour_length
    parts = [(torch.empty(0, width), weight)]
    for rows, share in (
        (
            list(neighbour_rows(model, tok, requests, hparams.mom2_dataset, names=count, length=length)),
            weight / len(requests),
        ),
        (statements(model, tok, KEPT, requests), weight),
    ):
        if rows:
            parts.append((read(model, rows, name, "in", hparams.tokens_together).cpu(), share))
    if hparams.keep_edits:
        parts += [(edit[name].cpu(), weight) for edit in edits_in(model) if name in edit]
    keys = torch.cat([rows for rows, _ in parts])
    return keys, torch.cat([torch.full((len(rows),), share) for rows, share in parts])


def _residuals(
    model: nn.Module, facts: Sequence[Taught], contrasts: Contrast, headed: Collection[int], place: Place
) -> Tensor:
    """What the projection shall write, (n, d): what contexts add, or a step towards the targets.

    Args:
        model: in evaluation mode.
        facts: as they are read.
        contrasts: what contexts add.
        headed: facts that get such a step.
        place: the projection and its block.
    """
    rows = [fact.alone for fact in facts]
    parts = list(contrasts.residuals.split(contrasts.spans))
    for fact in headed:
        parts[fact] = towards_targets(model, rows[fact : fact + 1])
    residuals, gain = torch.cat(parts), gain_after_norm(model, rows, place.names[0], place.blocks[0])
    return residuals if gain is None else sought_before(residuals, gain)


def _update(
    name: str, contrasts: Contrast, reading: Tensor, residuals: Tensor, scales: Sequence[float]
) -> WeightUpdate:
    """The update that writes each fact's residuals (n, d) with its scale."""
    parts = zip(residuals.split(contrasts.spans), scales, strict=True)
    scaled = torch.cat([part * scale for part, scale in parts])
    return WeightUpdate({name: written_by(reading, scaled)}, keys={name: contrasts.keys})


def plan(
    model: nn.Module, hparams: FastICEHyperParams, facts: int, tokens: int, device: Device, stated: int
) -> Footprint:
    """What an edit takes."""
    contexts = len(hparams.context_templates or WORDINGS)
    texts = Read(contexts, hparams.neighbour_names, hparams.neighbour_length, hparams.tokens_together)
    return plan_reading(model, hparams, texts, facts, tokens, device, stated)


ALGORITHM = Algorithm(
    name="FastICE",
    hparams=FastICEHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    second_moments=second_moments,
    summary="what a context with the new fact adds, written in closed form by forward passes alone",
)
