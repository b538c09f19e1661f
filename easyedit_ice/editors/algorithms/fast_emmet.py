"""FastEMMET: equality-constrained mass editing, with second moments of few tokens.

EMMET: Gupta et al. 2024, arXiv 2403.14236. As ``emmet_lambda`` goes to 0 all values are fitted exactly; at 1 it is
FastMEMIT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams, prepare, solve_closed_form
from easyedit_ice.editors.closed_form.closed_form_memory import plan_search
from easyedit_ice.editors.closed_form.solver_settings import second_moments
from easyedit_ice.model.tokenizer import Tokenizer


@dataclass
class FastEMMETHyperParams(FastMEMITHyperParams):
    """Settings of FastEMMET, with EasyEdit's names."""

    emmet_lambda: float = setting(
        0.1, "α: how far the values may be missed, for keys that nearly depend on each other", low=0
    )


def solve(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: FastEMMETHyperParams
) -> WeightUpdate:
    """Write all facts together.

    Raises:
        AnatomyError: the model has no such layers or projections.
        StatisticsError: the second moments are damaged or cannot be inverted, or keys depend on each other.
        DataError: there is no such text for them, or not enough of it.
    """
    return solve_closed_form(model, tok, requests, hparams, alpha=hparams.emmet_lambda)


ALGORITHM = Algorithm(
    name="FastEMMET",
    hparams=FastEMMETHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan_search,
    second_moments=second_moments,
    needs_subject=True,
    summary="the same with values fitted as closely as asked for",
)
