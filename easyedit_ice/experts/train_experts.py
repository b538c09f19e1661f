"""Facts into experts: one SVF edit for each group, all of the same unedited model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from easyedit_ice.edit.apply import solve
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.errors import ExpertError
from easyedit_ice.experts.expert import Expert
from easyedit_ice.experts.grouping import grouped
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.progress import progress

logger = logging.getLogger(__name__)

Requests = Sequence[Mapping[str, Any] | EditRequest]


def train_experts(
    model: nn.Module,
    tok: Tokenizer,
    requests: Requests,
    hparams: SVFHyperParams,
    by: str = "relation",
    *,
    clusters: int | None = None,
    relations: Sequence[str | None] | None = None,
) -> list[Expert]:
    """Train an expert on each group of facts; the model is left exactly as it was.

    Args:
        model: unedited.
        tok: its tokenizer.
        requests: the facts.
        hparams: of every group's edit; facts that ``skip_unfit`` leaves out are none of an expert's facts.
        by: how facts are grouped, as for :func:`~easyedit_ice.experts.grouping.grouped`.
        clusters: how many, for ``by="cluster"``.
        relations: kinds of the facts; by default the ``relation`` of those that are dicts and have one.

    Raises:
        ExpertError: the facts cannot be grouped so, or there are not as many relations as facts.
        RequestError: a fact cannot be edited as it was given.
    """
    kinds = _relations(requests) if relations is None else list(relations)
    facts = EditRequest.prepare(requests)
    if len(kinds) != len(facts):
        raise ExpertError(f"there are {len(kinds)} relations of {len(facts)} facts; give one for each")
    with preserved(model, tok):
        model.eval()
        groups = grouped(facts, by, relations=kinds, model=model, tok=tok, clusters=clusters)
    experts = []
    with progress(logger, "training experts", len(groups), "expert") as advance:
        for name, members in groups.items():
            update = solve(model, tok, [facts[index] for index in members], hparams)
            written = [
                index for index in members if [facts[index].prompt, facts[index].target_new] in update.info["facts"]
            ]
            relations = [kinds[index] for index in written]
            experts.append(
                Expert.of(update, model, name, [facts[index] for index in written], hparams, relations=relations)
            )
            advance(1)
    return experts


def _relations(requests: Requests) -> list[str | None]:
    return [request.get("relation") if isinstance(request, Mapping) else None for request in requests]
