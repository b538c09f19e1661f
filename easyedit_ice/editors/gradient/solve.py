"""Shared by all algorithms that train: put an adapter in, train it towards its objectives, read its deltas out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from torch import Tensor, nn

from easyedit_ice.edit.plain_statements import MEASURED, statements
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.gradient.build_adapter import Protected, make_adapter
from easyedit_ice.editors.gradient.learning_rate import Pace
from easyedit_ice.editors.gradient.neighbours import LocalitySettings
from easyedit_ice.editors.gradient.objectives import Edit, Objective, TargetSettings
from easyedit_ice.editors.gradient.protection.fact_keys import fact_keys
from easyedit_ice.editors.gradient.schedule import Schedule
from easyedit_ice.editors.gradient.trainer import train
from easyedit_ice.editors.gradient.training_settings import TrainingHyperParams
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.moments import Measuring


def solve(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: TrainingHyperParams
) -> WeightUpdate:
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
    projections = hparams.projections(model)
    fitted = hparams.fitted(model, tok, requests[0].asking)
    settings = hparams.replace(**fitted)
    schedule, stated = settings.section(Schedule), settings.section(TargetSettings)
    locality = settings.section(LocalitySettings)
    objective = settings.towards
    protection = settings.protected
    needed = protection is not None and protection.protects_neighbours
    surroundings = locality.surroundings(model, tok, requests, needed)
    prefixes = stated.prefixes(model, tok, settings.seed)
    edit = Edit(model, tok, requests, bool(stated.append_eos), prefixes, settings.seed)
    most_tokens, target = schedule.most_tokens(model, projections), stated.build_target(edit, objective.target_weight)
    protected = None
    if protection is not None:
        rows = locality.never_read(model, tok, requests, surroundings) if needed else []
        protected = Protected(protection, rows)
    trained = make_adapter(edit, projections, target.rows, settings.trained, schedule, protected)
    objectives: list[Objective] = [target, *objective.build_objectives(edit, trained.adapter)]
    trained.adapter.train(gradient_checkpointing=schedule.gradient_checkpointing)
    course = train(
        model,
        trained,
        [*objectives, *locality.build_locality(surroundings)],
        len(requests),
        schedule,
        seed=settings.seed,
        most_tokens=most_tokens,
        pace=_pace(edit, schedule),
    )
    keys: dict[str, Tensor] = {}
    if protected is not None:
        model.eval()
        names = [projection.name for projection in projections]
        keys = fact_keys(model, tok, requests, names, append_eos=edit.append_eos, prefixes=prefixes)
    info = {
        "algorithm": hparams.alg_name,
        "hparams": hparams.to_dict(),
        "fitted": fitted,
        "facts": [[request.prompt, request.target_new] for request in requests],
        "course": asdict(course),
        "adapter": trained.report(),
    }
    return WeightUpdate(trained.adapter.deltas(), info, keys)


def prepare(model: nn.Module, tok: Tokenizer, hparams: TrainingHyperParams) -> None:
    """Find what is protected of general text, and singular values, on the model before any edit."""
    projections, protected = hparams.projections(model), hparams.protected
    hparams.trained.prepare_adapter(model, projections)
    if protected is not None:
        model.eval()
        protected.prepare_protection(model, tok, projections)


def second_moments(model: nn.Module, hparams: TrainingHyperParams) -> tuple[tuple[str, ...], Measuring]:
    """Projections whose inputs' second moments protection needs, and on what these are measured.

    Raises:
        AnatomyError: the settings name nothing in the model.
        HyperParamsError: nothing is protected.
    """
    if hparams.protected is None:
        raise HyperParamsError("protection is 'none', which needs no second moments; set it to soft or hard")
    return tuple(projection.name for projection in hparams.projections(model)), hparams.protected.measuring


def _pace(edit: Edit, schedule: Schedule) -> Pace | None:
    """By plain statements; by all of them where facts are about each: a step is measured here, and not the edit."""
    if schedule.lr is not None:
        return None
    rows = statements(edit.model, edit.tok, MEASURED, edit.requests) or statements(edit.model, edit.tok, MEASURED)
    if not rows:
        raise HyperParamsError(
            "lr is None, and the tokenizer makes nothing that the model reads of the plain statements to find it by; "
            "set lr, such as 1e-3"
        )
    return Pace(schedule.step_drift, rows)
