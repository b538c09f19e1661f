"""Experts of tiny models, with elements drawn rather than trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from easyedit_ice.edit.delta import SpectralDelta
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.svf import SVFHyperParams
from easyedit_ice.editors.gradient.adapters import places_of
from easyedit_ice.experts import Expert
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute.weight_spectra import spectra
from easyedit_ice.testing.tiny_models import FACTS, SHAPES

FP32 = SHAPES[:4:2]
"""GPT-2's Conv1D and Llama's Linear, in fp32."""
BF16 = SHAPES[1:4:2]
"""The same in bf16."""
REQUESTS = EditRequest.prepare(FACTS)
PROMPTS = [fact["prompt"] for fact in FACTS]


def update(model: nn.Module, seed: int = 0, patterns: tuple[str, ...] = ("mlp.out",), form: str = "banded") -> Any:
    """A change of singular values, large enough to be seen."""
    generator = torch.Generator().manual_seed(seed)
    deltas = {}
    for name, found in spectra(model, ModelAnatomy(model).match(patterns)).items():
        rows, columns = places_of(found, form, 1)
        values = torch.randn(len(rows), generator=generator)
        deltas[name] = SpectralDelta(found.left, found.values, found.right, rows, columns, values)
    return WeightUpdate(deltas)


def expert(model: nn.Module, name: str = "one", seed: int = 0, **options: Any) -> Expert:
    """An expert of such a change, of the first fact."""
    return Expert.of(update(model, seed, **options), model, name, REQUESTS[:1], SVFHyperParams(), relations=["capital"])


def logits(model: nn.Module, tok: Any, texts: list[str], side: str = "right") -> list[torch.Tensor]:
    """Logits of each text's own tokens, asked in one padded batch."""
    inputs = tok(texts, return_tensors="pt", padding=True, padding_side=side, add_special_tokens=False)
    with torch.no_grad():
        found = model(**inputs).logits
    return [own[real.bool()] for own, real in zip(found, inputs["attention_mask"], strict=True)]
