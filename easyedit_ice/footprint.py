"""What an edit takes: memory by quantity, from settings and the model's shapes, before any weight is loaded.

Every quantity has a function that states its formula: here those of any algorithm, in
:mod:`easyedit_ice.training.footprint` and :mod:`easyedit_ice.closed_form.footprint` those of the two families.
``benchmarks/plan.py`` compares the estimates with measured peaks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from easyedit_ice.activations import FP32, element_size, vocabulary
from easyedit_ice.algorithms.fast_ice import FastICEHyperParams
from easyedit_ice.algorithms.fast_memit import FastMEMITHyperParams
from easyedit_ice.anatomy import ModelAnatomy, Projection
from easyedit_ice.closed_form.footprint import (
    TARGET,
    factoring_bytes,
    facts_together,
    measuring_bytes,
    reading_pass,
    second_moment_bytes,
    seeking_pass,
)
from easyedit_ice.closed_form.settings import place_of
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.hparams import EditHyperParams
from easyedit_ice.text.plain_text import KEPT, MEASURED, TOGETHER
from easyedit_ice.training.footprint import (
    beside_bytes,
    drawing_bytes,
    gradient_bytes,
    largest_pass,
    moments_of,
    trained_values,
    update_bytes,
    work_bytes,
)
from easyedit_ice.training.making import projections_of
from easyedit_ice.training.settings import TrainingHyperParams
from easyedit_ice.training.wordings import WORDINGS

__all__ = ["Footprint", "footprint", "smallest_gpu"]

Device = Literal["cuda", "cpu"]
GIB = 2**30
GPUS = (8, 12, 16, 24, 40, 80)
"""Memory of common GPUs, in GiB."""
CONTEXT = int(0.6 * GIB)
"""Bytes that CUDA and its libraries take for themselves."""
FRAGMENTATION = 1.1
"""What the allocator reserves, in units of what is in use."""
STATEMENT = 8
"""Predicted tokens of a plain statement."""
COMPARED = 4
"""Arrays of v in fp32 for each predicted token that is compared: log-probabilities and what a divergence is made of."""


@dataclass(frozen=True)
class Footprint:
    """What an edit takes; in bytes, where nothing else is said.

    Attributes:
        trained: values that are trained, or sought in closed form.
        weights: of the model.
        adapter: the trained values, in fp32.
        gradients: of these.
        optimizer: moments of AdamW, of Adam, or of gradient descent, in fp32.
        beside: what the algorithm holds besides, such as importances, protected directions, a teacher's distributions.
        activations: of the largest training pass.
        logits: of that pass, with all that is computed from them.
        work: short-lived tensors of the size of weights or of second moments' batches.
        drift: what the model said of plain statements before, and what it is compared by.
        update: what the edit returns.
        undo: copies of the weights that are written to, in main memory.
        second_moments: of closed-form editors and of protection, in main memory.
        peak: most that the device holds at once; a CPU with all that is in main memory.
        gpu: the smallest common GPU with room for it, or ``"none"``.
    """

    trained: int
    weights: int
    adapter: int
    gradients: int
    optimizer: int
    beside: int
    activations: int
    logits: int
    work: int
    drift: int
    update: int
    undo: int
    second_moments: int
    peak: int
    gpu: str


def footprint(
    model: nn.Module, hparams: EditHyperParams, *, facts: int = 1, tokens: int = 16, device: Device = "cuda"
) -> Footprint:
    """What it takes to edit some facts together.

    Args:
        model: before any edit; on the meta device, or loaded: its weights are not read.
        hparams: of an algorithm that trains, or of the closed-form ones.
        facts: edited together.
        tokens: of a fact's statement, prompt and target.
        device: that the model is on.

    Raises:
        AnatomyError: the settings name blocks or projections that the model has not.
        HyperParamsError: the settings belong to none of these.
    """
    if isinstance(hparams, TrainingHyperParams):
        return _of_training(model, hparams, facts, tokens, device)
    if isinstance(hparams, FastMEMITHyperParams):
        return _of_closed_form(model, hparams, facts, tokens, device)
    if isinstance(hparams, FastICEHyperParams):
        return _of_contrast(model, hparams, facts, tokens, device)
    raise HyperParamsError(
        f"{hparams.alg_name or type(hparams).__name__} has settings of its own kind; what an edit takes is known where "
        "they derive from TrainingHyperParams, FastMEMITHyperParams or FastICEHyperParams"
    )


def smallest_gpu(peak: int) -> str:
    """The smallest common GPU with room for so many bytes, for what the allocator reserves, and for CUDA itself."""
    needed = peak * FRAGMENTATION + CONTEXT
    return next((f"{size} GB" for size in GPUS if size * GIB >= needed), "none")


def weight_bytes(model: nn.Module, bits: int | None) -> int:
    """All weights and buffers; projections as bitsandbytes packs them, where they are loaded in 4 or 8 bits.

    In 4 bits with a scale in fp32 for every 64 values (Dettmers et al. 2023, arXiv 2305.14314, section 3, without
    double quantization); in 8 bits with one for every output (Dettmers et al. 2022, arXiv 2208.07339, section 3).
    """
    whole = {id(tensor): tensor.nbytes for tensor in (*model.parameters(), *model.buffers())}
    if bits is None:
        return sum(whole.values())
    packed = {id(p.module.weight): _packed(p, bits) for p in ModelAnatomy(model).projections if not p.quantized}
    return sum((whole | packed).values())


def undo_bytes(model: nn.Module, projections: Iterable[Projection], bits: int | None) -> int:
    """Copies of the weights that are written to, in their type; packed ones are not written to."""
    return 0 if bits else sum(p.size for p in projections) * element_size(model)


def drift_bytes(model: nn.Module) -> int:
    """v in fp32 for each predicted token of the plain statements, and some more for those compared at a time."""
    each, tokens = FP32 * vocabulary(model), STATEMENT * len(MEASURED)
    return each * (tokens + COMPARED * min(tokens, max(STATEMENT, TOGETHER // each)))


def _of_training(model: nn.Module, hparams: TrainingHyperParams, facts: int, tokens: int, device: Device) -> Footprint:
    """The highest of what is held while weights' gradients are looked at, in a pass, while texts are drawn, in an
    optimiser's step, in a trial of one, while the update is read out, and while it is committed and what it moves is
    measured."""
    bits, projections = hparams.quantization_bit, projections_of(model, hparams)
    each = [trained_values(projection, hparams, facts) for projection in projections]
    trained = sum(each)
    weights, undo = weight_bytes(model, bits), undo_bytes(model, projections, bits)
    activations, logits = largest_pass(model, projections, hparams, facts, tokens)
    beside = beside_bytes(model, projections, hparams, facts, tokens, trained)
    work, update = work_bytes(model, projections, hparams, bits), update_bytes(projections, hparams)
    moments = second_moment_bytes(projections) if hparams.protection != "none" else 0
    step = max(2 * FP32 * max(each), FP32 * trained)
    in_pass, drift = activations + logits + work, drift_bytes(model)
    trial = step + 2 * FP32 * trained + drift if hparams.lr is None else 0
    training = 4 * FP32 * trained + beside + max(in_pass, drawing_bytes(model, hparams, facts, tokens), step, trial)
    looking = gradient_bytes(projections, hparams) + beside + in_pass
    committing = update + max(2 * FP32 * trained, drift) + 3 * FP32 * max(p.size for p in projections)
    measuring = measuring_bytes(model, projections) if moments else 0
    on_device = weights + max(training, looking, committing, measuring)
    on_host = weights + max(training, looking, committing + undo, measuring + moments)
    return Footprint(
        trained=trained,
        weights=weights,
        adapter=FP32 * trained,
        gradients=FP32 * trained,
        optimizer=moments_of(hparams) * FP32 * trained,
        beside=beside,
        activations=activations,
        logits=logits,
        work=max(work, measuring, gradient_bytes(projections, hparams)),
        drift=drift,
        update=update,
        undo=undo,
        second_moments=moments,
        peak=on_device if device == "cuda" else on_host,
        gpu=smallest_gpu(on_device),
    )


def _of_closed_form(
    model: nn.Module, hparams: FastMEMITHyperParams, facts: int, tokens: int, device: Device
) -> Footprint:
    """The highest of what is held while second moments are measured and factored, while values are sought, and while
    the update is committed and what it moves is measured."""
    anatomy, place = ModelAnatomy(model), place_of(model, hparams)
    projections = [anatomy.projection(name) for name in place.names]
    contexts = [length for length, count in hparams.context_template_length_params for _ in range(count)]
    together = facts_together(contexts, facts, tokens, device)
    activations, logits = seeking_pass(model, projections, contexts, together, tokens)
    sought = together * anatomy.hidden_size
    weights = weight_bytes(model, hparams.quantization_bit)
    undo = undo_bytes(model, projections, hparams.quantization_bit)
    measured = hparams.mom2_adjustment
    measuring = measuring_bytes(model, projections) if measured else 0
    factoring, moments = factoring_bytes(projections) if measured else 0, second_moment_bytes(projections)
    seeking = 4 * FP32 * sought + activations + logits
    update = sum(FP32 * min(facts, p.in_features) * (p.in_features + p.out_features) for p in projections)
    drift = drift_bytes(model)
    committing = update + drift + 3 * FP32 * max(p.size for p in projections)
    on_device = weights + max(measuring, seeking, committing)
    on_host = weights + max(measuring + factoring, moments + max(seeking, committing) + undo)
    return Footprint(
        trained=facts * anatomy.hidden_size,
        weights=weights,
        adapter=FP32 * facts * anatomy.hidden_size,
        gradients=FP32 * sought,
        optimizer=2 * FP32 * sought,
        beside=0,
        activations=activations,
        logits=logits,
        work=measuring,
        drift=drift,
        update=update,
        undo=undo,
        second_moments=moments,
        peak=on_device if device == "cuda" else on_host,
        gpu=smallest_gpu(on_device),
    )


def _of_contrast(model: nn.Module, hparams: FastICEHyperParams, facts: int, tokens: int, device: Device) -> Footprint:
    """The highest of what is held while second moments are measured and factored, while texts are read, while the solve
    is made, and while the update is committed and what it moves is measured."""
    anatomy = ModelAnatomy(model)
    projections = [anatomy.projection(name) for name in place_of(model, hparams).names]
    (projection,) = projections
    contexts = len(hparams.context_templates or WORDINGS)
    _, activations, logits = reading_pass(model, facts, tokens, contexts, hparams.neighbour_names, device)
    written = facts * TARGET
    kept = facts * (hparams.neighbour_names + 1) * hparams.neighbour_length + STATEMENT * len(KEPT)
    weights = weight_bytes(model, hparams.quantization_bit)
    undo = undo_bytes(model, projections, hparams.quantization_bit)
    measured = hparams.mom2_adjustment
    measuring = measuring_bytes(model, projections) if measured else 0
    factoring, moments = factoring_bytes(projections) if measured else 0, second_moment_bytes(projections)
    beside = FP32 * (written + kept) * projection.in_features
    solving = 2 * (2 * beside + 2 * FP32 * (written + kept) ** 2)
    update = FP32 * min(written, projection.in_features) * (projection.in_features + projection.out_features)
    drift = drift_bytes(model)
    reading = FP32 * written * anatomy.hidden_size + beside + activations + logits
    committing = update + drift + 3 * FP32 * projection.size
    on_device = weights + max(measuring, reading, committing)
    on_host = weights + max(measuring + factoring, moments + max(reading, solving, committing) + undo)
    return Footprint(
        trained=written * anatomy.hidden_size,
        weights=weights,
        adapter=FP32 * written * anatomy.hidden_size,
        gradients=0,
        optimizer=0,
        beside=beside,
        activations=activations,
        logits=logits,
        work=measuring,
        drift=drift,
        update=update,
        undo=undo,
        second_moments=moments,
        peak=on_device if device == "cuda" else on_host,
        gpu=smallest_gpu(on_device),
    )


def _packed(projection: Projection, bits: int) -> int:
    if bits == 4:
        return projection.size // 2 + FP32 * math.ceil(projection.size / 64)
    return projection.size + FP32 * projection.out_features
