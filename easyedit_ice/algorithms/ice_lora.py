"""ICE-LoRA: in-context editing on low-rank adapters.

L = CE(x* | q) + λ · KL(p(x | c, q) ‖ p(x | q)) + λ_free · KL(p(x | c, s) ‖ p(x | s)) + λ_loc · KL(p_0 ‖ p)

The first two are In-Context Editing (Qi et al. 2024, arXiv 2406.11194): a context c that states the new fact
makes the model its own teacher, and without c it learns to answer alike. The third applies the same idea to
what the model writes freely about the subject s under c, so that consequences of the fact are learned. ICE acts
within the edit's scope only; the fourth, on general text, keeps the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from torch import nn

from easyedit_ice.algorithms.lora import LoraHyperParams, solve_low_rank
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.hparams import setting
from easyedit_ice.requests import EditRequest
from easyedit_ice.training.adapters import LowRankAdapter
from easyedit_ice.training.contexts import SOURCES, TEMPLATES, contexts
from easyedit_ice.training.objectives import InContext, Objective, Opening, TargetInContext
from easyedit_ice.updates import WeightUpdate

ABOUT = ("subject", "target", "anything")
CONTINUATION, FREE = "context", "consequences"
"""Names of the two in-context objectives, in the course of a training."""


@dataclass
class IceLoraHyperParams(LoraHyperParams):
    """Settings of ICE-LoRA, besides those of its adapters and training."""

    alg_name: str = setting("ICE-LoRA", "name of the algorithm in the table")
    locality_weight: float = setting(1.0, "weight of the divergence from the unedited model on general text", low=0)
    neighbour_weight: float = setting(
        1.0, "weight of the same divergence after the fact's prompt with other names in place of the subject", low=0
    )
    ice_weight: float = setting(1.0, "λ: weight of the in-context term on continuations of the fact", low=0)
    free_weight: float = setting(1.0, "λ_free: weight of the in-context term on free text about the fact", low=0)
    free_about: list[str] = setting(
        list(ABOUT), f"how free texts begin, in turn: with any of {', '.join(ABOUT)}; what follows a mention counts"
    )
    teacher: str = setting(
        "static", "weights of the teacher: before the edit, or as they are now", choices=("static", "dynamic")
    )
    context_sources: list[str] = setting(["template"], f"where contexts come from: {', '.join(SOURCES)}")
    context_templates: list[str] = setting(
        list(TEMPLATES), "context statements, with {fact}, or {prompt} and {target}, in place of the fact"
    )
    num_contexts: int = setting(5, "contexts of each fact", low=1)
    context_nll_weight: float = setting(
        0.0, "weight of the target's loss in context, which the paper's released code adds", low=0
    )
    continuation_samples: int = setting(16, "continuations drawn for each fact at a time", low=1)
    continuation_length: int = setting(8, "their most tokens", low=1)
    free_samples: int = setting(48, "free texts drawn for each fact at a time", low=1)
    free_length: int = setting(24, "their most tokens", low=1)
    ice_rows: int = setting(8, "continuations, and free texts, that each step looks at for each fact, in turn", low=1)
    resample_every: int = setting(0, "steps between two drawings; 0 to draw once", low=0)
    temperature: float = setting(1.0, "temperature of the drawing; the divergence is unaffected", above=0)
    top_k: int = setting(0, "draw among this many likeliest tokens; 0 for all", low=0)
    stop_kl: float | None = setting(
        None, "besides stop_nll: a fact rests while its in-context divergence is below this, in nats per token", above=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [source for source in self.context_sources if source not in SOURCES]
        if unknown or not self.context_sources:
            raise HyperParamsError(f"context_sources is {self.context_sources}; expected some of {', '.join(SOURCES)}")
        if not self.free_about or any(about not in ABOUT for about in self.free_about):
            raise HyperParamsError(f"free_about is {self.free_about}; expected some of {', '.join(ABOUT)}")
        for template in self.context_templates:
            _check_template(template)
        if not self.context_templates:
            raise HyperParamsError("context_templates is empty; give at least one template with {fact}")


def solve(model: nn.Module, tok: Any, requests: Sequence[EditRequest], hparams: IceLoraHyperParams) -> WeightUpdate:
    """Train adapters on the facts and on the model's own answers in their context.

    Raises:
        AnatomyError: ``target_modules`` or ``layers`` match nothing in the model.
        TrainingDivergedError: the loss is infinite or not a number.
    """

    def in_context(adapter: LowRankAdapter) -> list[Objective]:
        own = contexts(
            model,
            tok,
            requests,
            sources=hparams.context_sources,
            templates=hparams.context_templates,
            count=hparams.num_contexts,
            seed=hparams.seed,
        )
        shared = {
            "disabled": adapter.disabled,
            "static": hparams.teacher == "static",
            "rows_per_step": hparams.ice_rows,
            "resample_every": hparams.resample_every,
            "temperature": hparams.temperature,
            "top_k": hparams.top_k,
        }
        objectives: list[Objective] = []
        if hparams.context_nll_weight:
            objectives.append(
                TargetInContext(tok, requests, own, append_eos=hparams.append_eos, weight=hparams.context_nll_weight)
            )
        if hparams.ice_weight:
            objectives.append(
                InContext(
                    CONTINUATION,
                    model,
                    tok,
                    _continued(requests, own),
                    weight=hparams.ice_weight,
                    length=hparams.continuation_length,
                    samples=hparams.continuation_samples,
                    **shared,
                )
            )
        if hparams.free_weight:
            objectives.append(
                InContext(
                    FREE,
                    model,
                    tok,
                    _free(requests, own, hparams.free_about),
                    weight=hparams.free_weight,
                    length=hparams.free_length,
                    samples=hparams.free_samples,
                    **shared,
                )
            )
        return objectives

    stops = {} if hparams.stop_kl is None else {CONTINUATION: hparams.stop_kl, FREE: hparams.stop_kl}
    return solve_low_rank(model, tok, requests, hparams, in_context=in_context, stop_below=stops)


def _check_template(template: str) -> None:
    try:
        names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise HyperParamsError(f"the context template {template!r} has an unpaired brace") from error
    if names - {"fact", "prompt", "target"} or not names & {"fact", "target"}:
        raise HyperParamsError(
            f"the context template {template!r} must state the fact; put {{fact}} into it, "
            "or {prompt} and {target}, and nothing else in braces"
        )


def _continued(requests: Sequence[EditRequest], contexts: Sequence[Sequence[str]]) -> list[list[Opening]]:
    """The fact's own sentence, to go on with: the paper's continuation."""
    return [
        [Opening(context, request.prompt + request.completion) for context in own]
        for request, own in zip(requests, contexts, strict=True)
    ]


def _free(
    requests: Sequence[EditRequest], contexts: Sequence[Sequence[str]], about: Sequence[str]
) -> list[list[Opening]]:
    """Free texts: about the subject, about the target, or about anything that leads to the subject."""
    openings = []
    for request, own in zip(requests, contexts, strict=True):
        subject, target = request.subject or request.prompt, request.target_new.strip()
        begins = {"subject": (subject, ""), "target": (target, ""), "anything": ("", subject)}
        openings.append([Opening(context, *begins[kind]) for context in own for kind in about])
    return openings
