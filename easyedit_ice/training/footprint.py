"""What an algorithm that trains holds beside the model, by quantity.

Shapes: in and out are the widths of a projection, r its rank, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from easyedit_ice.activations import (
    FP32,
    Pass,
    bytes_per_token,
    cache_per_token,
    element_size,
    logits_bytes,
    tokens_within,
    vocabulary,
)
from easyedit_ice.anatomy import ModelAnatomy, Projection
from easyedit_ice.text.sampling import ROWS
from easyedit_ice.training.making import budget_of
from easyedit_ice.training.settings import TrainingHyperParams
from easyedit_ice.training.subspaces import MOST
from easyedit_ice.training.teacher import REMEMBERED

TARGET, OPENING = 4, 4
"""Tokens of a fact's statement that are predicted, its end of text included, and tokens a free text begins with."""
DRAWN = 5
"""Arrays of v in fp32 for each text while its next token is drawn: logits, probabilities and their copies."""


def trained_values(projection: Projection, hparams: TrainingHyperParams, facts: int = 1) -> int:
    """Values that an adapter trains for a projection.

    lora: r (in + out) (arXiv 2106.09685). dora: magnitudes besides, out (arXiv 2402.09353). adalora: r₀ (in + out + 1),
    where r₀ is its rank at the start (arXiv 2303.10512). dense: in · out. With rank_allocation: gora ranks follow the
    gradient; r is what they are near in the mean. svf: one for each singular value, and those beside the diagonal
    (arXiv 2405.19597, section 3).
    """
    ends = projection.in_features + projection.out_features
    match hparams.adapter:
        case "dense":
            return projection.size
        case "dora":
            return hparams.rank * ends + projection.out_features
        case "adalora":
            return budget_of(facts, hparams).start * (ends + 1)
        case "svf":
            return _elements(_singular_values(projection, hparams), hparams)
    return hparams.rank * ends


def _singular_values(projection: Projection, hparams: TrainingHyperParams) -> int:
    most = min(projection.in_features, projection.out_features)
    return most if hparams.svd_rank is None else min(hparams.svd_rank, most)


def _elements(rank: int, hparams: TrainingHyperParams) -> int:
    """Of D (r, r)."""
    count = hparams.off_diagonals
    match hparams.spectral_form:
        case "banded":
            count = min(count, rank - 1)
            return rank + count * (2 * rank - count - 1)
        case "top":
            return rank + min(count, rank * (rank - 1))
    return rank


def moments_of(hparams: TrainingHyperParams) -> int:
    """Values that the optimiser keeps for each trained one."""
    return 2 if hparams.optimizer == "adamw" else int(hparams.momentum > 0)


def beside_bytes(
    model: nn.Module,
    projections: Sequence[Projection],
    hparams: TrainingHyperParams,
    facts: int,
    tokens: int,
    trained: int,
) -> int:
    """What is held in training besides parameters and their optimiser's state.

    AdaLoRA has three moving averages for each trained value: of importance, its mean and its uncertainty (arXiv
    2303.10512, section 3.2). Protection has its directions; a static teacher's distributions are remembered; and
    settings may name more (``held_beside``).
    """
    importance = 3 * FP32 * trained if hparams.adapter == "adalora" else 0
    importance += spectra_bytes(projections, hparams)
    own = sum(hparams.held_beside(p.in_features, p.out_features) for p in projections)
    protected = protected_bytes(projections, hparams, facts, tokens)
    return importance + own + protected + remembered_bytes(model, hparams, facts)


def spectra_bytes(projections: Iterable[Projection], hparams: TrainingHyperParams) -> int:
    """U (out, r), V (in, r) and s in fp32."""
    if hparams.adapter != "svf":
        return 0
    return sum(FP32 * _singular_values(p, hparams) * (p.in_features + p.out_features + 1) for p in projections)


def protected_bytes(projections: Iterable[Projection], hparams: TrainingHyperParams, facts: int, tokens: int) -> int:
    """Directions (in, k) in fp32 of general text, on a model without earlier edits; each of those adds its keys.

    Neighbours add a direction for each of their tokens, and no more than the projection has inputs.
    """
    if hparams.protection == "none":
        return 0
    share = 4 if hparams.protection == "hard" else 1
    read = 0
    if hparams.neighbour_softness is not None:
        read = facts * hparams.neighbour_names * (tokens - TARGET + hparams.neighbour_length)
    widths = [p.in_features for p in projections]
    return sum(
        FP32 * width * ((hparams.protected_rank or min(MOST, width // share)) + min(read, width)) for width in widths
    )


def remembered_bytes(model: nn.Module, hparams: TrainingHyperParams, facts: int) -> int:
    """v in fp32 for each predicted token of texts whose distribution before the edit is kept: of all, or of as many as
    the steps come to."""
    static = hparams.objective == "ice" and hparams.teacher == "static"
    predicted = 0
    for on, texts, rows, length in (
        (static and hparams.ice_weight, hparams.continuation_samples, hparams.ice_rows, hparams.continuation_length),
        (static and hparams.free_weight, hparams.free_samples, hparams.ice_rows, hparams.free_length),
        (hparams.neighbour_weight, hparams.neighbour_names, hparams.neighbour_rows, hparams.neighbour_length),
    ):
        if on:
            predicted += facts * min(texts, rows * hparams.num_steps) * length
    if hparams.locality_weight:
        texts = min(hparams.locality_samples, hparams.locality_rows * hparams.num_steps)
        predicted += texts * hparams.locality_length
    return min(REMEMBERED, predicted * FP32 * vocabulary(model))


def work_bytes(
    model: nn.Module, projections: Sequence[Projection], hparams: TrainingHyperParams, bits: int | None
) -> int:
    """Tensors of the size of weights that a forward pass makes and drops.

    A packed weight is unpacked when it is used. peft's DoRA finds ‖W + s B A‖ from a unit matrix (in, in), B A, s B A
    and the sum (out, in).
    """
    unpacked = max(p.size for p in ModelAnatomy(model).projections) * element_size(model) if bits else 0
    if hparams.adapter != "dora":
        return unpacked
    return unpacked + FP32 * max(p.in_features**2 + 3 * p.size for p in projections)


def gradient_bytes(projections: Iterable[Projection], hparams: TrainingHyperParams) -> int:
    """Gradients of whole weights (out, in) in fp32, from which ranks, the start and protection are told; and what is
    left of them beside protected directions."""
    if not hparams.needs_gradient:
        return 0
    return sum(FP32 * p.size for p in projections) * (1 if hparams.protection == "none" else 2)


def update_bytes(projections: Iterable[Projection], hparams: TrainingHyperParams) -> int:
    """The update in fp32: its factors, r (in + out), or all of ΔW where it is dense. Of svf: D."""
    if hparams.adapter in ("dense", "dora"):
        return sum(FP32 * p.size for p in projections)
    if hparams.adapter == "svf":  # elements, and their places as two whole numbers of 8 bytes
        return sum(5 * FP32 * _elements(_singular_values(p, hparams), hparams) for p in projections)
    return sum(FP32 * hparams.rank * (p.in_features + p.out_features) for p in projections)


def pass_of_a_fact(hparams: TrainingHyperParams, tokens: int) -> Pass:
    """What a step reads for each fact: its statements, and the rows of objectives that the settings turn on."""
    behind = hparams.random_prefixes
    read, matched, taught = tokens + behind * (tokens + hparams.prefix_length), TARGET * (1 + behind), 0
    ice = hparams.objective == "ice"
    if hparams.objective == "reinforce":
        own, answered = tokens - TARGET + hparams.answer_length, hparams.answers * hparams.answer_length
        read, matched, taught = read + hparams.answers * own, matched + answered, answered
    if ice and hparams.context_nll_weight:
        read, matched = read + hparams.num_contexts * 2 * tokens, matched + hparams.num_contexts * TARGET
    for on, rows, given, length in (
        (ice and hparams.ice_weight, hparams.ice_rows, tokens, hparams.continuation_length),
        (ice and hparams.free_weight, hparams.ice_rows, OPENING, hparams.free_length),
        (hparams.neighbour_weight, hparams.neighbour_rows, tokens - TARGET, hparams.neighbour_length),
    ):
        if on:
            read, taught = read + rows * (given + length), taught + rows * length
    return Pass(read, matched, taught)


def largest_pass(
    model: nn.Module, projections: Sequence[Projection], hparams: TrainingHyperParams, facts: int, tokens: int
) -> tuple[int, int]:
    """Bytes of activations, and of logits, of the pass that takes most: that of some facts, or that on general text."""
    each = bytes_per_token(model, projections, checkpointed=hparams.gradient_checkpointing)
    if hparams.adapter == "dora":  # outputs of the projection and of the factors, both multiplied by what m gives
        each += 2 * FP32 * sum(p.out_features for p in projections)
    if hparams.adapter == "svf":  # what is read along singular directions, moved, and written
        each += FP32 * sum(3 * _singular_values(p, hparams) + p.out_features for p in projections)
    fact = pass_of_a_fact(hparams, tokens)
    general = hparams.locality_rows * hparams.locality_length if hparams.locality_weight else 0
    passes = (
        fact.times(facts_together(model, projections, hparams, facts, fact)),
        Pass(general, 0, general),
    )
    return max(((own.tokens * each, logits_bytes(model, own)) for own in passes), key=sum)


def facts_together(
    model: nn.Module, projections: Sequence[Projection], hparams: TrainingHyperParams, facts: int, fact: Pass
) -> int:
    """Facts in one pass: as many as the settings allow, and their budget of activations."""
    most = min(facts, hparams.mini_batch_size, hparams.micro_batch_size)
    if hparams.activation_budget is None:
        return most
    budget = hparams.activation_budget * 2**20
    within = tokens_within(model, budget, checkpointed=hparams.gradient_checkpointing, trained=projections)
    return max(1, min(most, within // fact.tokens))


def drawing_bytes(model: nn.Module, hparams: TrainingHyperParams, facts: int, tokens: int) -> int:
    """Keys and values, and logits of the last tokens, while the model writes texts for the objectives."""
    rows, length = 0, 0
    if hparams.locality_weight or hparams.needs_neighbours:
        rows, length = hparams.locality_samples, hparams.locality_length
    if hparams.objective == "ice":
        drawn = min(facts, hparams.mini_batch_size)
        rows = max(rows, drawn * max(hparams.continuation_samples, hparams.free_samples))
        length = max(length, 2 * tokens + hparams.continuation_length, tokens + OPENING + hparams.free_length)
    if hparams.objective == "reinforce":
        rows = max(rows, min(facts, hparams.mini_batch_size) * hparams.answers)
        length = max(length, tokens + hparams.answer_length)
    return min(rows, ROWS) * (length * cache_per_token(model) + DRAWN * FP32 * vocabulary(model))
