"""What the closed-form editors hold beside the model, by quantity.

Shapes: in and out are the widths of a projection, d that of the residual stream.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from easyedit_ice.edit.plain_statements import KEPT
from easyedit_ice.editors.closed_form.neighbour_rows import MOST_NEIGHBOURS, NeighbourSettings, neighbours_each
from easyedit_ice.editors.closed_form.newton import FEW_TOKENS, PAIRED
from easyedit_ice.editors.closed_form.solver_settings import ClosedFormSettings, place_of
from easyedit_ice.model.activation_memory import (
    FP32,
    Pass,
    bytes_per_token,
    cache_per_token,
    element_size,
    logits_bytes,
    vocabulary,
)
from easyedit_ice.model.anatomy import ModelAnatomy, Site
from easyedit_ice.planning.footprint import STATEMENT, Device, Footprint, Stage, planned, undo_bytes
from easyedit_ice.precompute.output_moments import tokens_together
from easyedit_ice.precompute.second_moments import BATCH_TOKENS
from easyedit_ice.text.reading import TOKENS
from easyedit_ice.text.rows import TOGETHER
from easyedit_ice.text.sampling import ROWS

if TYPE_CHECKING:
    from easyedit_ice.editors.algorithms.fast_gate import FastGateHyperParams
    from easyedit_ice.editors.algorithms.fast_grad import FastGradHyperParams
    from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams
    from easyedit_ice.editors.closed_form.search_settings import SearchSettings

FP64 = 8
TARGET = 4
"""Tokens of a fact's statement that are predicted."""


def second_moment_bytes(projections: Iterable[Site]) -> int:
    """A matrix (in, in) in fp64 for each projection or expert, in main memory: its second moment, or a factor of it."""
    return sum(FP64 * math.prod(p.moments_shape) for p in projections)


def measuring_bytes(model: nn.Module, projections: Sequence[Site]) -> int:
    """A pass over general text: what the projections read, in fp32, and the widest inner tensors of an MLP."""
    widest = max(p.in_features for p in projections)
    return BATCH_TOKENS * (FP32 * sum(p.in_features for p in projections) + 4 * element_size(model) * widest)


def pricing(model: nn.Module, projections: Sequence[Site]) -> Stage:
    """General text runs forward and back, all of whose tokens are predicted, while S is measured; what projections read
    and the gradients of what they write are in main memory, beside C and the sums of their products."""
    work = Pass(tokens_together(model), tokens_together(model), 0)
    activations = work.tokens * bytes_per_token(model, projections, checkpointed=False)
    read = FP32 * work.tokens * sum(p.in_features + p.out_features for p in projections)
    sums = sum(FP64 * p.out_features**2 for p in projections)
    return Stage(activations + logits_bytes(model, work), second_moment_bytes(projections) + read + sums)


def factoring_bytes(projections: Sequence[Site]) -> int:
    """Second moments and the factors that are made of them, and the one that is being factored, in main memory."""
    return 2 * second_moment_bytes(projections) + max(FP64 * math.prod(p.moments_shape) for p in projections)


def solving_bytes(projection: Site, written: int, others: int) -> int:
    """The solve, in fp64: a few matrices of all pairs of rows, or of inputs where these are fewer; and the readers.

    Args:
        projection: that is written to.
        written: tokens of facts.
        others: keys that shall stay.
    """
    rows = written + others
    if projection.experts > 1 or rows <= projection.in_features:
        return 2 * FP64 * rows * (rows + projection.in_features)
    return 3 * FP64 * projection.in_features**2 + 3 * FP32 * written * projection.in_features


def facts_together(contexts: Sequence[int], facts: int, tokens: int, together: int) -> int:
    """Facts whose values are sought side by side: as many as their tokens from the subject on allow."""
    return max(1, min(facts, together // ((len(contexts) + 1) * _read(tokens))))


def seeking_pass(
    model: nn.Module, projections: Sequence[Site], contexts: Sequence[int], facts: int, tokens: int
) -> tuple[int, int]:
    """Bytes of activations, and of logits, while values are sought.

    Each fact is read alone and after every context, from its subject on with gradients through the blocks above the
    last projection; of the tokens before keys and values are kept.

    Args:
        model: its shapes.
        projections: that are written to.
        contexts: their lengths in tokens.
        facts: whose values are sought side by side.
        tokens: of a statement; its subject ends midway.
    """
    rows = len(contexts) + 1
    work = Pass(rows * _read(tokens), rows * TARGET + 1, 0).times(facts)
    before = facts * (sum(contexts) + rows * (tokens - _read(tokens)))
    activations = work.tokens * bytes_per_token(model, projections[-1:], checkpointed=False)
    return activations + before * cache_per_token(model), logits_bytes(model, work)


def reading_pass(
    model: nn.Module, facts: int, tokens: int, contexts: int, names: int, together: int
) -> tuple[int, int, int]:
    """Tokens of the largest pass of FastICE, bytes of activations in it, and of logits.

    Facts are read after contexts, of the new and of the old, and with other names; no pass keeps anything for a
    backward one, so that it holds the stream and the widest inner tensors of one block.

    Args:
        model: its shapes.
        facts: written together.
        tokens: of a statement.
        contexts: wordings that facts are stated in.
        names: in place of a subject.
        together: most tokens read side by side.
    """
    read = min(together, facts * max(2 * contexts * 3 * tokens, names * tokens))
    widest = max(p.in_features for p in ModelAnatomy(model).projections)
    each = element_size(model) * (4 * widest + 4 * ModelAnatomy(model).hidden_size)
    predicted = min(ROWS, max(facts * TARGET, names))
    return read, read * each, 3 * FP32 * vocabulary(model) * predicted


def _read(tokens: int) -> int:
    """Tokens from the subject's last on."""
    return max(1, tokens // 2)


def neighbours_bytes(settings: NeighbourSettings, projections: Sequence[Site], facts: int, tokens: int) -> int:
    """What is read of other names in the subjects' places, and their pairs in a solve, in main memory."""
    texts = min(facts, MOST_NEIGHBOURS) * neighbours_each(settings.neighbour_names, facts)
    return _kept_bytes(texts * (tokens - TARGET + settings.neighbour_length), projections)


def near_bytes(hparams: FastMEMITHyperParams, projections: Sequence[Site], facts: int) -> int:
    """What is read of names that end nearly as the subjects do, and their pairs in a solve, in main memory."""
    return _kept_bytes(min(facts, MOST_NEIGHBOURS) * neighbours_each(hparams.near_tokens, facts), projections)


def _kept_bytes(keys: int, projections: Sequence[Site]) -> int:
    """Keys that shall stay, of each projection, and what a solve makes of them."""
    widths = [p.in_features for p in projections]
    return FP32 * keys * sum(widths) + FP64 * keys * (2 * max(widths) + keys)


def plan_search(
    model: nn.Module, hparams: FastMEMITHyperParams, facts: int, tokens: int, device: Device, stated: int
) -> Footprint:
    """The highest of what is held while second moments are measured and factored, while values are sought, and while
    the update is committed and what it moves is measured."""
    projections = _written_to(model, hparams)
    beside = neighbours_bytes(hparams, projections, facts, tokens) + near_bytes(hparams, projections, facts)
    update = sum(FP32 * min(facts, p.in_features) * (p.in_features + p.out_features) for p in projections)
    undo = undo_bytes(model, projections, hparams.quantization_bit)
    return _plan_search(model, hparams, facts, tokens, device, stated, beside=beside, update=update, undo=undo)


def plan_gates(
    model: nn.Module, hparams: FastGateHyperParams, facts: int, tokens: int, device: Device, stated: int
) -> Footprint:
    """As :func:`plan_search`; what is written stands beside the weights, of which no copies are kept."""
    (projection,) = _written_to(model, hparams)
    update = FP32 * facts * (projection.in_features + projection.out_features)
    return _plan_search(model, hparams, facts, tokens, device, stated, update=update)


def _written_to(model: nn.Module, hparams: ClosedFormSettings) -> list[Site]:
    anatomy = ModelAnatomy(model)
    return [anatomy.site(name) for name in place_of(model, hparams).names]


def _plan_search(
    model: nn.Module,
    hparams: SearchSettings,
    facts: int,
    tokens: int,
    device: Device,
    stated: int,
    *,
    beside: int = 0,
    update: int,
    undo: int = 0,
) -> Footprint:
    """The plan of an algorithm that seeks values.

    Args:
        model: its shapes.
        hparams: settings.
        facts: edited together.
        tokens: of a fact's statement.
        device: that the model is on.
        stated: predicted tokens of the plain statements.
        beside: bytes of further keys, in main memory.
        update: bytes of what is returned.
        undo: bytes of the copies that are kept, in main memory.
    """
    anatomy, bits, projections = ModelAnatomy(model), hparams.quantization_bit, _written_to(model, hparams)
    contexts = [length for length, count in hparams.context_template_length_params for _ in range(count)]
    together = facts_together(contexts, facts, tokens, hparams.tokens_together or TOKENS[device])
    activations, logits = seeking_pass(model, projections, contexts, together, tokens)
    sought = together * anatomy.hidden_size
    measuring, moments = _measuring(model, hparams, projections), second_moment_bytes(projections)
    priced = hparams.output_adjustment and hparams.v_lr is None
    outward = sum((FP64 + FP32) * p.out_features**2 for p in projections) if priced else 0
    held = moments + outward + undo
    return planned(
        model,
        projections,
        [
            measuring,
            *([pricing(model, projections)] if priced else []),
            Stage(4 * FP32 * sought + activations + logits, held + beside),
            Stage(stating_bytes(model, facts), held),
        ],
        bits=bits,
        device=device,
        stated=stated,
        resident=moments + outward,
        trained=facts * anatomy.hidden_size,
        adapter=FP32 * facts * anatomy.hidden_size,
        gradients=FP32 * sought,
        optimizer=2 * FP32 * sought,
        activations=activations,
        logits=logits,
        work=measuring.device,
        update=update,
        second_moments=moments,
    )


@dataclass(frozen=True)
class Read:
    """What is read of each fact.

    Attributes:
        contexts: wordings that it is stated in.
        names: in place of its subject.
        length: tokens after each of these.
        together: most tokens read side by side; ``None`` for what suits the device.
    """

    contexts: int
    names: int
    length: int
    together: int | None


def plan_reading(
    model: nn.Module, hparams: ClosedFormSettings, texts: Read, facts: int, tokens: int, device: Device, stated: int
) -> Footprint:
    """The highest of what is held while second moments are measured and factored, while texts are read, while the solve
    is made, and while the update is committed and what it moves is measured."""
    anatomy, bits = ModelAnatomy(model), hparams.quantization_bit
    (projection,) = projections = [anatomy.projection(name) for name in place_of(model, hparams).names]
    _, activations, logits = reading_pass(
        model, facts, tokens, texts.contexts, texts.names, texts.together or TOKENS[device]
    )
    written, width = facts * TARGET, projection.in_features
    others = facts * (texts.names + 1) * texts.length + STATEMENT * len(KEPT)
    beside = FP32 * (written + others) * width
    measuring, moments = _measuring(model, hparams, projections), second_moment_bytes(projections)
    in_memory = moments + undo_bytes(model, projections, bits)
    return planned(
        model,
        projections,
        [
            measuring,
            Stage(FP32 * written * anatomy.hidden_size + beside + activations + logits, in_memory),
            Stage(beside, in_memory + solving_bytes(projection, written, others)),
            Stage(beside + stating_bytes(model, facts), in_memory),
        ],
        bits=bits,
        device=device,
        stated=stated,
        resident=moments,
        trained=written * anatomy.hidden_size,
        adapter=FP32 * written * anatomy.hidden_size,
        beside=beside,
        activations=activations,
        logits=logits,
        work=measuring.device,
        update=FP32 * min(written, width) * (width + projection.out_features),
        second_moments=moments,
    )


@dataclass(frozen=True)
class Beside:
    """What runs beside each fact in FastGrad's steps.

    Attributes:
        work: with what rows are filled up with.
        tokens: without.
    """

    work: Pass
    tokens: int


ALONE = Beside(Pass(0, 0, 0), 0)


def plan_steps(
    model: nn.Module,
    hparams: FastGradHyperParams,
    facts: int,
    tokens: int,
    device: Device,
    stated: int,
    beside: Beside = ALONE,
    earlier: Sequence[Stage] = (),
) -> Footprint:
    """The highest of what is held while moments are measured and inverted, while facts run forward and back, while a
    step is made, and while the update is committed and what it moves is measured.

    Changed weights stand on the model's device in place of its own; what lower blocks return of the facts is there too.

    Args:
        model: its shapes.
        hparams: settings.
        facts: edited together.
        tokens: of a fact's statement.
        device: that the model is on.
        stated: predicted tokens of plain statements.
        beside: what runs beside each fact.
        earlier: what else is held before the steps, besides the moments.
    """
    anatomy, bits = ModelAnatomy(model), hparams.quantization_bit
    projections = [anatomy.projection(name) for name in place_of(model, hparams).names]
    together = min(facts, hparams.facts_together)
    work = (Pass(tokens, TARGET, 0) + beside.work).times(together)
    of_fact = tokens + beside.tokens
    in_step = together * of_fact
    activations = work.tokens * bytes_per_token(model, projections, checkpointed=False)
    logits = logits_bytes(model, work)
    below = work.tokens * element_size(model) * anatomy.hidden_size
    changed = undo_bytes(model, projections, bits)
    width = sum(p.in_features + p.out_features for p in projections)
    outward = sum(FP64 * p.out_features**2 for p in projections)
    read = 3 * (FP64 if in_step <= FEW_TOKENS else FP32) * in_step * width
    neighbours = neighbours_bytes(hparams, projections, facts, tokens)
    update = sum(
        FP32
        * min(facts * of_fact * hparams.num_steps, p.in_features, p.out_features)
        * (p.in_features + p.out_features)
        for p in projections
    )
    measuring, moments = _measuring(model, hparams, projections), second_moment_bytes(projections)
    held = 2 * moments + outward
    return planned(
        model,
        projections,
        [
            measuring,
            *([pricing(model, projections)] if hparams.output_adjustment else []),
            *(Stage(stage.device, held + stage.host) for stage in earlier),
            Stage(changed + below + activations + logits, held + neighbours),
            Stage(changed + stating_bytes(model, facts), held),
            Stage(below, held + read + 2 * FP64 * in_step * min(in_step, PAIRED) + update),
        ],
        bits=bits,
        device=device,
        stated=stated,
        resident=2 * moments + outward,
        trained=0,
        activations=activations,
        logits=logits,
        work=measuring.device,
        update=update,
        second_moments=moments,
    )


def stating_bytes(model: nn.Module, facts: int) -> int:
    """Arrays of v in fp32 for each token of the targets that are looked at together: twice while they are predicted,
    and as many again to tell which leads."""
    return 4 * min(facts * TARGET * FP32 * vocabulary(model), max(TOGETHER, TARGET * FP32 * vocabulary(model)))


def _measuring(model: nn.Module, hparams: ClosedFormSettings, projections: Sequence[Site]) -> Stage:
    """Second moments are measured and factored, if they are asked for."""
    if not hparams.mom2_adjustment:
        return Stage(0)
    return Stage(measuring_bytes(model, projections), factoring_bytes(projections))
