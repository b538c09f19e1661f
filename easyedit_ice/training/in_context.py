"""The objectives of in-context editing (Qi et al. 2024, arXiv 2406.11194), as the settings ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.asking import Asking
from easyedit_ice.requests import EditRequest
from easyedit_ice.training.adapters import Adapter
from easyedit_ice.training.contexts import contexts
from easyedit_ice.training.objectives import InContext, Objective, Opening, TargetInContext
from easyedit_ice.training.settings import TrainingHyperParams

CONTINUATION, FREE = "context", "consequences"
"""Names of the two in-context objectives, in the course of a training."""


def in_context(
    model: nn.Module, tok: Any, requests: Sequence[EditRequest], hparams: TrainingHyperParams, adapter: Adapter
) -> list[Objective]:
    """The terms of ICE: on continuations of the fact, and on what the model writes freely about it.

    Args:
        model: holds the adapter; student and teacher.
        tok: its tokenizer.
        requests: the facts.
        hparams: weights, contexts and drawing.
        adapter: is off for a static teacher.
    """
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
        longest = ModelAnatomy(model).context_length
        stated = {"append_eos": hparams.append_eos, "weight": hparams.context_nll_weight, "longest": longest}
        objectives.append(TargetInContext(tok, requests, own, **stated))
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


def _continued(requests: Sequence[EditRequest], contexts: Sequence[Sequence[str]]) -> list[list[Opening]]:
    """The fact's own sentence, to go on with: the paper's continuation."""
    return [
        [Opening(request.asked(context) + request.completion, request.asked() + request.completion) for context in own]
        for request, own in zip(requests, contexts, strict=True)
    ]


def _free(
    requests: Sequence[EditRequest], contexts: Sequence[Sequence[str]], about: Sequence[str]
) -> list[list[Opening]]:
    """Free texts: about the subject, about the target, or about anything that leads to the subject.

    In a chat the model is asked to tell about them.
    """
    openings = []
    for request, own in zip(requests, contexts, strict=True):
        subject, target = request.subject or request.prompt, request.target_new.strip()
        begins = {"subject": (subject, ""), "target": (target, ""), "anything": ("", subject)}
        openings.append([_opening(request.asking, context, *begins[kind]) for context in own for kind in about])
    return openings


def _opening(asking: Asking, context: str, topic: str, after: str) -> Opening:
    """A text that the model goes on with, or its answer to a question about a topic."""
    said = f"Tell me about {topic or 'something'}." if asking.after else topic
    return Opening(asking.text(said, context), asking.text(said), after)
