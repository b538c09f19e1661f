"""The way of every algorithm that trains: put an adapter in, train it towards its objectives, read its deltas out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.activations import tokens_within
from easyedit_ice.anatomy import ModelAnatomy, Projection
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.processes import Share
from easyedit_ice.requests import EditRequest
from easyedit_ice.text.endings import ends_answers
from easyedit_ice.text.plain_text import MEASURED, statements
from easyedit_ice.text.prefixes import context_prefixes
from easyedit_ice.text.rows import Row
from easyedit_ice.training.adapters import Adapter
from easyedit_ice.training.in_context import CONTINUATION, FREE, in_context
from easyedit_ice.training.keys import fact_keys
from easyedit_ice.training.loop import train
from easyedit_ice.training.making import made, projections_of
from easyedit_ice.training.objectives import FineTuning, Locality, Objective
from easyedit_ice.training.pace import FIRST, Pace
from easyedit_ice.training.reinforce import Reinforce
from easyedit_ice.training.settings import TrainingHyperParams
from easyedit_ice.training.surroundings import beginning_texts, general_texts, neighbour_texts
from easyedit_ice.training.wordings import followed_wordings
from easyedit_ice.updates import WeightUpdate


def solve(model: nn.Module, tok: Any, requests: Sequence[EditRequest], hparams: TrainingHyperParams) -> WeightUpdate:
    """Train an adapter on all facts together; its deltas.

    Args:
        model: any causal language model; the caller restores it.
        tok: its tokenizer.
        requests: the facts.
        hparams: settings of any algorithm of the gradient path.

    Raises:
        AnatomyError: ``target_modules`` or ``layers`` match nothing in the model.
        HyperParamsError: ``lr`` is None, and the model can read no plain statement to find it by.
        TrainingDivergedError: the loss is infinite or not a number.
    """
    model.eval()
    asked, hparams = hparams, _fitted(model, tok, requests, hparams)
    projections = projections_of(model, hparams)
    general, neighbours = _texts(model, tok, requests, hparams)
    prefixes = _prefixes(model, tok, hparams)
    most_tokens = _most_tokens(model, projections, hparams)
    longest = ModelAnatomy(model).context_length
    target = FineTuning(
        tok,
        requests,
        append_eos=hparams.append_eos,
        prefixes=prefixes,
        longest=longest,
        weight=0.0 if hparams.objective == "reinforce" else 1.0,
    )
    protected = _protected(model, tok, requests, neighbours, hparams)
    trained = made(model, tok, requests, projections, target.rows, prefixes, protected, hparams)
    adapter = trained.adapter
    objectives: list[Objective] = [target]
    if hparams.objective == "ice":
        objectives += in_context(model, tok, requests, hparams, adapter)
    if hparams.objective == "reinforce":
        objectives.append(_reinforce(model, tok, requests, hparams))
    adapter.train(gradient_checkpointing=hparams.gradient_checkpointing)
    course = train(
        model,
        adapter,
        [*objectives, *_surroundings(general, neighbours, hparams)],
        len(requests),
        epochs=hparams.num_steps,
        optimizer=_optimizer(adapter, hparams),
        max_grad_norm=hparams.max_grad_norm,
        evenness=hparams.evenness,
        mini_batch_size=hparams.mini_batch_size,
        micro_batch_size=hparams.micro_batch_size,
        stop_below=_stops(hparams),
        clamp=hparams.clamp,
        autocast=_autocast(model, hparams.mixed_precision),
        seed=hparams.seed,
        most_tokens=most_tokens,
        protection=trained.protection,
        share=Share.current() if hparams.data_parallel else None,
        pace=None if hparams.lr is not None else _pace(model, tok, requests, hparams),
    )
    keys: dict[str, Tensor] = {}
    if trained.protection is not None:
        model.eval()
        names = [projection.name for projection in projections]
        keys = fact_keys(model, tok, requests, names, append_eos=hparams.append_eos, prefixes=prefixes)
    info = {
        "algorithm": hparams.alg_name,
        "hparams": asked.to_dict(),
        "fitted": {name: getattr(hparams, name) for name in ("append_eos", "context_templates")},
        "facts": [[request.prompt, request.target_new] for request in requests],
        "course": asdict(course),
        "adapter": trained.report(),
    }
    return WeightUpdate(adapter.deltas(), info, keys)


def _fitted(
    model: nn.Module, tok: Any, requests: Sequence[EditRequest], hparams: TrainingHyperParams
) -> TrainingHyperParams:
    """The settings, with what is found on the model in place of ``None``."""
    asking, found = requests[0].asking, {}
    if hparams.append_eos is None:
        found["append_eos"] = ends_answers(model, tok, asking)
    if hparams.objective == "ice" and hparams.context_templates is None:
        found["context_templates"] = followed_wordings(model, tok, asking)
    return hparams.replace(**found) if found else hparams


def _texts(
    model: nn.Module, tok: Any, requests: Sequence[EditRequest], hparams: TrainingHyperParams
) -> tuple[list[Row], dict[int | None, list[Row]]]:
    """General texts, and each fact's neighbours by its index, as far as the settings have use for them."""
    if not hparams.locality_weight and not hparams.needs_neighbours:
        return [], {}
    general = general_texts(model, tok, hparams.locality_samples, hparams.locality_length)
    if not hparams.needs_neighbours:
        return general, {}
    shared = {"length": hparams.neighbour_length, "edited": _edited(requests)}
    return general, {
        fact: neighbour_texts(model, tok, request, general, count=hparams.neighbour_names, **shared)
        for fact, request in enumerate(requests)
    }


def _protected(
    model: nn.Module,
    tok: Any,
    requests: Sequence[EditRequest],
    neighbours: Mapping[int | None, Sequence[Row]],
    hparams: TrainingHyperParams,
) -> list[Row]:
    """Texts of which nothing shall be read, if the settings ask for it: of other names, and of the subjects' first
    words."""
    if hparams.protection == "none" or hparams.neighbour_softness is None:
        return []
    shared = {"length": hparams.neighbour_length, "edited": _edited(requests)}
    beginnings = [beginning_texts(model, tok, request, **shared) for request in requests]
    return [row for rows in (*neighbours.values(), *beginnings) for row in rows]


def _edited(requests: Sequence[EditRequest]) -> set[str]:
    """Names of which something changes."""
    return {request.subject for request in requests if request.subject is not None}


def _surroundings(
    general: Sequence[Row], neighbours: Mapping[int | None, Sequence[Row]], hparams: TrainingHyperParams
) -> list[Objective]:
    """What keeps text out of the edit's scope as it is."""
    found: list[Objective] = []
    if hparams.locality_weight:
        found.append(Locality({None: general}, weight=hparams.locality_weight, rows_per_step=hparams.locality_rows))
    if hparams.neighbour_weight:
        found.append(Locality(neighbours, weight=hparams.neighbour_weight, rows_per_step=hparams.neighbour_rows))
    return found


def _reinforce(model: nn.Module, tok: Any, requests: Sequence[EditRequest], hparams: TrainingHyperParams) -> Reinforce:
    return Reinforce(
        model,
        tok,
        requests,
        append_eos=hparams.append_eos,
        answers=hparams.answers,
        length=hparams.answer_length,
        temperature=hparams.answer_temperature,
        reward=hparams.reward,
        baseline=hparams.reward_baseline,
        kl_weight=hparams.reinforce_kl_weight,
    )


def _prefixes(model: nn.Module, tok: Any, hparams: TrainingHyperParams) -> tuple[str, ...]:
    """Texts of the model's own that facts are stated behind."""
    if not hparams.random_prefixes:
        return ()
    return context_prefixes(model, tok, ((hparams.prefix_length, hparams.random_prefixes),), hparams.seed)[1:]


def _optimizer(adapter: Adapter, hparams: TrainingHyperParams) -> torch.optim.Optimizer:
    shared = {"lr": FIRST if hparams.lr is None else hparams.lr, "weight_decay": hparams.weight_decay}
    if hparams.optimizer == "sgd":
        return torch.optim.SGD(adapter.parameters(), momentum=hparams.momentum, **shared)
    return torch.optim.AdamW(adapter.parameters(), **shared)


def _pace(model: nn.Module, tok: Any, requests: Sequence[EditRequest], hparams: TrainingHyperParams) -> Pace:
    """By plain statements; by all of them where facts are about each: a step is measured here, and not the edit."""
    rows = statements(model, tok, MEASURED, requests) or statements(model, tok, MEASURED)
    if not rows:
        raise HyperParamsError(
            "lr is None, and the tokenizer makes nothing that the model reads of the plain statements to find it by; "
            "set lr, such as 1e-3"
        )
    return Pace(hparams.step_drift, rows)


def _stops(hparams: TrainingHyperParams) -> Mapping[str, float]:
    """The bounds below which a fact's losses count as learned."""
    stops = {} if hparams.stop_nll is None else {FineTuning.name: hparams.stop_nll}
    if stops and hparams.objective == "ice" and hparams.stop_kl is not None:
        stops |= {CONTINUATION: hparams.stop_kl, FREE: hparams.stop_kl}
    return stops


def _most_tokens(model: nn.Module, projections: Sequence[Projection], hparams: TrainingHyperParams) -> int | None:
    """Of one pass, by the budget of activations; the model has no adapter yet."""
    if hparams.activation_budget is None:
        return None
    budget = hparams.activation_budget * 2**20
    return tokens_within(model, budget, checkpointed=hparams.gradient_checkpointing, trained=projections)


def _autocast(model: nn.Module, precision: str) -> Callable[[], AbstractContextManager]:
    if precision == "no":
        return nullcontext
    return partial(torch.autocast, model.get_input_embeddings().weight.device.type, torch.bfloat16)
