"""ICE-Grad: in-context editing by FastGrad's steps, without an optimiser.

A fact brings along what the model says otherwise once it has read the fact
(:mod:`easyedit_ice.editors.closed_form.consequences`): in-context editing (Qi et al. 2024, arXiv 2406.11194), with a
token of a text in place of its whole distribution. Fact and consequences are written together by a few Newton steps
(:mod:`easyedit_ice.editors.closed_form.newton`), each the cheapest change for general text and earlier edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from easyedit_ice.edit.hparams import other_default
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.fast_grad import FastGradHyperParams, solve_by_steps
from easyedit_ice.editors.algorithms.fast_grad import prepare as prepare_metric
from easyedit_ice.editors.closed_form.consequence_memory import plan_consequences
from easyedit_ice.editors.closed_form.consequences import ConsequenceSettings, consequences
from easyedit_ice.editors.closed_form.solver_settings import second_moments
from easyedit_ice.editors.gradient.wordings import followed_wordings
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.chat import asking_for


@dataclass
class IceGradHyperParams(ConsequenceSettings, FastGradHyperParams):
    """Settings of ICE-Grad."""

    gentler = "raise neighbour_weight, kept_weight or consequence_slack, or lower margin"
    stronger = "raise margin or num_steps"
    wider = "raise free_samples and consequences_each, or margin"

    margin: float = other_default(FastGradHyperParams, "margin", 4.0)
    most_change: float = other_default(FastGradHyperParams, "most_change", 8.0)
    facts_together: int = other_default(FastGradHyperParams, "facts_together", 4)

    @property
    def teaches_itself(self) -> bool:
        """By what it says in context."""
        return True


def solve(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: IceGradHyperParams
) -> WeightUpdate:
    """Write all facts, each with its consequences.

    Raises:
        AnatomyError: the model has no such layers or projections.
        StatisticsError: the second moments are damaged, or cannot be inverted.
        DataError: there is no such text for them, or not enough of it.
    """
    model.eval()
    beside = consequences(model, tok, requests, hparams.section(ConsequenceSettings))
    update = solve_by_steps(model, tok, requests, hparams, beside)
    update.info["course"]["consequences"] = [len(of_fact) for of_fact in beside]
    return update


def prepare(model: nn.Module, tok: Tokenizer, hparams: IceGradHyperParams) -> None:
    """Do what is done once, on the model before any edit: the metric of general text, and the wordings it follows."""
    prepare_metric(model, tok, hparams)
    if hparams.context_templates is None:
        followed_wordings(model, tok, asking_for(tok, hparams.chat))


ALGORITHM = Algorithm(
    name="ICE-Grad",
    hparams=IceGradHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan_consequences,
    second_moments=second_moments,
    summary="in-context editing in closed form: a fact with what follows from it, in a few steps",
)
