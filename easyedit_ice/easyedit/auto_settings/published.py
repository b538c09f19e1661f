"""The models with published settings, and what is carried over from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from easyedit_ice.easyedit.auto_settings.model_shape import Kind, ModelShape

Settings = dict[str, Any]
DEPTH: Mapping[Kind, int] = {"transposed": 48, "plain": 28, "gated": 32}
"""Blocks of GPT-2 XL, GPT-J 6B and Llama 2 7B."""
INNER: Mapping[Kind, int] = {"transposed": 6400, "plain": 16384, "gated": 11008}
"""Inputs of their MLP's output projection."""


def of(kind: Kind, transposed: Any, plain: Any, gated: Any) -> Any:
    """What the preset says of the model of this kind."""
    return {"transposed": transposed, "plain": plain, "gated": gated}[kind]


def paths(shape: ModelShape) -> Settings:
    """The modules by which EasyEdit finds its way."""
    return {
        "rewrite_module_tmp": shape.writer("mlp"),
        "layer_module_tmp": shape.block,
        "mlp_module_tmp": shape.module("mlp"),
        "attn_module_tmp": shape.module("attention"),
        "ln_f_module": shape.final_norm,
        "lm_head_module": shape.head,
    }
