"""What an edit takes: memory by quantity, from settings and the model's shapes, before any weight is loaded.

Each algorithm has a plan that says so. Here are the quantities that any of them has, and how a peak follows from its
stages; those of the two families are in :mod:`easyedit_ice.editors.gradient.training_memory` and
:mod:`easyedit_ice.editors.closed_form.closed_form_memory`. ``benchmarks/plan.py`` compares the estimates with measured
peaks.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.plain_statements import MEASURED, statements
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.model.activation_memory import FP32, element_size, tokens_within, vocabulary
from easyedit_ice.model.anatomy import ModelAnatomy, Projection, Site
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.text.rows import TOGETHER

__all__ = ["Footprint", "Stage", "footprint", "planned", "smallest_gpu", "tokens_within"]

Device = Literal["cuda", "cpu"]
GIB = 2**30
GPUS = (8, 12, 16, 24, 40, 80)
"""Memory of common GPUs, in GiB."""
CONTEXT = int(0.6 * GIB)
"""Bytes that CUDA and its libraries take for themselves."""
FRAGMENTATION = 1.1
"""What the allocator reserves, in units of what is in use."""
STATEMENT = 8
"""Predicted tokens of a plain statement, where there is no tokenizer to count them: tokenizers of natural language make
one of nearly every word."""
PREDICTED, COMPARED = 2, 3
"""Arrays of v in fp32 for each token that is predicted at a time, while rows are put in order; and for each of the one
statement that is compared, for what a divergence is made of."""


def _quantity(meaning: str, default: Any = 0) -> Any:
    return dataclasses.field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class Footprint:
    """What an edit takes; in bytes, where nothing else is said."""

    trained: int = _quantity("values that are trained, or sought in closed form; a count")
    weights: int = _quantity("of the model")
    adapter: int = _quantity("what is trained, in fp32")
    gradients: int = _quantity("of that")
    optimizer: int = _quantity("moments of each trained value, in fp32")
    beside: int = _quantity("what the algorithm holds besides: importances, protected directions, a teacher's words")
    activations: int = _quantity("of the largest training pass")
    logits: int = _quantity("of that pass, and what is computed from them")
    work: int = _quantity("short-lived tensors of the size of weights or of second moments' batches")
    drift: int = _quantity("to compare plain statements before and after")
    update: int = _quantity("what the edit returns")
    undo: int = _quantity("copies of the weights written to, in main memory")
    second_moments: int = _quantity("of closed-form editors and of protection, in main memory")
    peak: int = _quantity("most that the device holds at once; a CPU with all that is in main memory")
    gpu: str = _quantity("the smallest common GPU with room for it, or 'none'", "none")

    @classmethod
    def parts(cls) -> dict[str, str]:
        """What each part of the memory is, by name."""
        others = ("trained", "peak", "gpu")
        return {field.name: field.metadata["help"] for field in dataclasses.fields(cls) if field.name not in others}


@dataclass(frozen=True)
class Stage:
    """What is held at one time of an edit besides the model's weights, in bytes.

    Attributes:
        device: on the device that the model is on.
        host: in main memory, also where that is a GPU.
    """

    device: int
    host: int = 0


def footprint(
    model: nn.Module,
    hparams: EditHyperParams,
    *,
    facts: int = 1,
    tokens: int = 16,
    device: Device = "cuda",
    tok: Tokenizer | None = None,
) -> Footprint:
    """What it takes to edit some facts together.

    Args:
        model: before any edit; on the meta device, or loaded: its weights are not read.
        hparams: of an algorithm that has a plan.
        facts: edited together.
        tokens: of a fact's statement, prompt and target.
        device: that the model is on.
        tok: the model's tokenizer, which counts the tokens of plain statements; ``None`` takes them to have 8 each.

    Raises:
        AnatomyError: the settings name blocks or projections that the model does not have.
        HyperParamsError: the algorithm has no plan.
        UnknownAlgorithmError: the settings belong to no algorithm.
    """
    spec = type(hparams).spec or ALGORITHMS[hparams.alg_name]
    rows = [] if tok is None else statements(model, tok, MEASURED)
    stated = sum(row.span for row in rows) if rows else STATEMENT * len(MEASURED)
    return spec.footprint(model, hparams, facts=facts, tokens=tokens, device=device, stated=stated)


def planned(
    model: nn.Module,
    projections: Sequence[Site],
    stages: Iterable[Stage],
    *,
    bits: int | None,
    device: Device,
    stated: int,
    held: int = 0,
    resident: int = 0,
    **quantities: int,
) -> Footprint:
    """The footprint of an edit, whose peak is that of its highest stage.

    Args:
        model: its shapes.
        projections: whose weights are written to.
        stages: of the edit, besides the last: committing the update and comparing plain statements.
        bits: that the weights are packed in, if they are.
        device: that the model is on.
        stated: predicted tokens of the plain statements that are compared.
        held: bytes that the device still holds in the last stage.
        resident: bytes that main memory holds in it.
        **quantities: ``update``, and whatever else there is of a :class:`Footprint`.
    """
    weights, undo, drift = weight_bytes(model, bits), undo_bytes(model, projections, bits), drift_bytes(model, stated)
    committing = quantities.get("update", 0) + max(held, drift) + 3 * FP32 * max(p.size for p in projections)
    every = [*stages, Stage(committing, undo + resident)]
    on_device = weights + max(stage.device for stage in every)
    on_host = weights + max(stage.device + stage.host for stage in every)
    return Footprint(
        weights=weights,
        drift=drift,
        undo=undo,
        peak=on_device if device == "cuda" else on_host,
        gpu=smallest_gpu(on_device),
        **quantities,
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


def undo_bytes(model: nn.Module, projections: Iterable[Site], bits: int | None) -> int:
    """Copies of the weights that are written to, in their type; packed ones are not written to."""
    return 0 if bits else sum(p.size for p in projections) * element_size(model)


def drift_bytes(model: nn.Module, stated: int) -> int:
    """v in fp32 for each predicted token of the plain statements, and some more for those predicted at a time."""
    each, one = FP32 * vocabulary(model), stated // len(MEASURED)
    together = min(stated, max(one, TOGETHER // each))
    return each * (stated + max(PREDICTED * together, together + COMPARED * one))


def _packed(projection: Projection, bits: int) -> int:
    if bits == 4:
        return projection.size // 2 + FP32 * math.ceil(projection.size / 64)
    return projection.size + FP32 * projection.out_features
