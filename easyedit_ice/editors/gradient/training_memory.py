"""What an edit of an algorithm that trains takes: the sum of what its sections say.

Shapes: in and out are the widths of a projection, r its rank, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from easyedit_ice.editors.closed_form.closed_form_memory import measuring_bytes, pricing, second_moment_bytes
from easyedit_ice.editors.gradient.adapters import AdapterSettings
from easyedit_ice.editors.gradient.neighbours import LocalitySettings
from easyedit_ice.editors.gradient.objectives import ObjectiveSettings, TargetSettings
from easyedit_ice.editors.gradient.schedule import Schedule
from easyedit_ice.editors.gradient.teacher import REMEMBERED
from easyedit_ice.editors.gradient.training_settings import TrainingHyperParams
from easyedit_ice.model.activation_memory import (
    FP32,
    Pass,
    bytes_per_token,
    cache_per_token,
    element_size,
    logits_bytes,
    vocabulary,
)
from easyedit_ice.model.anatomy import ModelAnatomy, Projection
from easyedit_ice.planning.footprint import Device, Footprint, Stage, drift_bytes, planned
from easyedit_ice.text.sampling import ROWS

DRAWN = 5
"""Arrays of v in fp32 for each text while its next token is drawn: logits, probabilities and their copies."""


def plan(
    model: nn.Module, hparams: TrainingHyperParams, facts: int, tokens: int, device: Device, stated: int
) -> Footprint:
    """The highest of what is held while weights' gradients are looked at, in a pass, while texts are drawn, in an
    optimiser's step, in a trial of one, while second moments are measured, and while the update is committed."""
    bits, projections, adapter = hparams.quantization_bit, hparams.projections(model), hparams.trained
    objective, protected = hparams.towards, hparams.protected
    schedule, target = hparams.section(Schedule), hparams.section(TargetSettings)
    locality = hparams.section(LocalitySettings)
    each = [adapter.trained_values(projection, schedule.most_steps(facts)) for projection in projections]
    trained = sum(each)
    row = pass_of_a_fact(target, objective, locality, tokens)
    activations, logits = largest_pass(model, projections, adapter, schedule, row, locality.general_pass, facts)
    beside = adapter.held_bytes(projections, trained) + remembered_bytes(model, objective, locality, schedule, facts)
    beside += sum(hparams.held_beside(p.in_features, p.out_features) for p in projections)
    if protected is not None:
        beside += protected.held_bytes(projections, locality.neighbour_tokens(facts, tokens))
    gradients = gradient_bytes(projections, adapter, protected is not None)
    work = adapter.work_bytes(projections) + (unpacked_bytes(model) if bits else 0)
    measuring, moments = (
        (measuring_bytes(model, projections), second_moment_bytes(projections)) if protected is not None else (0, 0)
    )
    unread = protected is not None and protected.protects_neighbours
    general = bool(locality.locality_weight or locality.neighbour_weight or unread)
    drawing = drawing_bytes(model, objective, locality if general else None, schedule, facts, tokens)
    in_pass, step = activations + logits + work, max(2 * FP32 * max(each), FP32 * trained)
    trial = step + 2 * FP32 * trained + drift_bytes(model, stated) if schedule.lr is None else 0
    return planned(
        model,
        projections,
        [
            Stage(gradients + beside + in_pass),
            Stage(4 * FP32 * trained + beside + max(in_pass, drawing, step, trial)),
            Stage(measuring, moments),
            *([pricing(model, projections)] if protected is not None and protected.prices_outputs else []),
        ],
        bits=bits,
        device=device,
        stated=stated,
        held=2 * FP32 * trained,
        trained=trained,
        adapter=FP32 * trained,
        gradients=FP32 * trained,
        optimizer=schedule.moments * FP32 * trained,
        beside=beside,
        activations=activations,
        logits=logits,
        work=max(work, measuring, gradients),
        update=adapter.update_bytes(projections),
        second_moments=moments,
    )


def pass_of_a_fact(
    stated: TargetSettings, objective: ObjectiveSettings, locality: LocalitySettings, tokens: int
) -> Pass:
    """What a step reads for each fact: its statements, and the rows of objectives that the settings turn on."""
    return stated.pass_of_a_fact(tokens) + objective.pass_of_a_fact(tokens) + locality.pass_of_a_fact(tokens)


def largest_pass(
    model: nn.Module,
    projections: Sequence[Projection],
    adapter: AdapterSettings,
    schedule: Schedule,
    row: Pass,
    general: Pass,
    facts: int,
) -> tuple[int, int]:
    """Bytes of activations, and of logits, of the pass that takes most: that of some facts, or that on general text."""
    each = bytes_per_token(model, projections, checkpointed=schedule.gradient_checkpointing)
    each += adapter.bytes_per_token(projections)
    passes = row.times(schedule.facts_together(model, projections, facts, row.tokens)), general
    return max(((one.tokens * each, logits_bytes(model, one)) for one in passes), key=sum)


def remembered_bytes(
    model: nn.Module, objective: ObjectiveSettings, locality: LocalitySettings, schedule: Schedule, facts: int
) -> int:
    """v in fp32 for each predicted token of texts whose distribution before the edit is kept."""
    predicted = sum(part.remembered_tokens(facts, schedule.num_steps) for part in (objective, locality))
    return min(REMEMBERED, predicted * FP32 * vocabulary(model))


def gradient_bytes(projections: Sequence[Projection], adapter: AdapterSettings, protected: bool) -> int:
    """Gradients of whole weights (out, in) in fp32, from which ranks, the start and protection are told; and what is
    left of them beside protected directions."""
    return sum(FP32 * p.size for p in projections) * (2 if protected else int(adapter.needs_gradient))


def unpacked_bytes(model: nn.Module) -> int:
    """The greatest weight, which is unpacked when it is used."""
    return max(projection.size for projection in ModelAnatomy(model).projections) * element_size(model)


def drawing_bytes(
    model: nn.Module,
    objective: ObjectiveSettings,
    general: LocalitySettings | None,
    schedule: Schedule,
    facts: int,
    tokens: int,
) -> int:
    """Keys and values, and logits of the last tokens, while the model writes texts: general ones, if it does, or the
    objective's."""
    rows, length = objective.drawing(min(facts, schedule.mini_batch_size), tokens)
    if general is not None:
        rows, length = max(rows, general.locality_samples), max(length, general.locality_length)
    return min(rows, ROWS) * (length * cache_per_token(model) + DRAWN * FP32 * vocabulary(model))
