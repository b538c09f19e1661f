"""ROME, MEMIT and their kin."""

from __future__ import annotations

from collections.abc import Mapping

from easyedit_ice.easyedit.auto_settings.model_shape import Kind, ModelShape
from easyedit_ice.easyedit.auto_settings.published import DEPTH, INNER, Settings, of, paths
from easyedit_ice.precompute.corpora import AUTO

TOKENS_FOR_EACH_INPUT = 10
_ONE_LAYER: Mapping[Kind, int] = {"transposed": 17, "plain": 5, "gated": 5}
_LAYERS: Mapping[Kind, range] = {"transposed": range(13, 18), "plain": range(3, 9), "gated": range(4, 9)}


def _moments(shape: ModelShape) -> Settings:
    """What C is measured on."""
    return {
        "mom2_dataset": AUTO,
        "mom2_n_samples": TOKENS_FOR_EACH_INPUT * shape.inner,
        "mom2_dtype": "float32",
        "stats_dir": "data/stats",
    }


def _weight(shape: ModelShape, published: float) -> float:
    """A published weight of C, scaled to the inputs of the projection."""
    return round(published * shape.inner / INNER[shape.kind], 1)


def _values(shape: ModelShape) -> Settings:
    """How values are sought."""
    return {
        "fact_token": "subject_last",
        "v_num_grad_steps": of(shape.kind, 20, 25, 25),
        "v_lr": 0.5,
        "v_loss_layer": shape.depth - 1,
        "v_weight_decay": of(shape.kind, 0.5, 0.5, 1e-3),
        "kl_factor": 0.0625,
    }


def rome(shape: ModelShape) -> Settings:
    """ROME, and R-ROME."""
    kind = shape.kind
    return {
        **paths(shape),
        **_moments(shape),
        **_values(shape),
        "layers": [shape.layer(_ONE_LAYER[kind], DEPTH[kind])],
        "v_num_grad_steps": of(kind, 20, 20, 25),
        "clamp_norm_factor": 4,
        "context_template_length_params": [[5, 10], [10, 10]],
        "mom2_adjustment": False,
        "fp16": False,
    }


def memit(shape: ModelShape) -> Settings:
    """MEMIT."""
    kind = shape.kind
    return {
        **paths(shape),
        **_moments(shape),
        **_values(shape),
        "layers": shape.layers(_LAYERS[kind], DEPTH[kind]),
        "layer_selection": "all",
        "clamp_norm_factor": of(kind, 0.75, 0.75, 4),
        "mom2_adjustment": True,
        "mom2_update_weight": _weight(shape, of(kind, 20_000, 15_000, 15_000)),
    }


def memit_fe(shape: ModelShape) -> Settings:
    """MEMIT-FE."""
    changes = {"mom2_update_weight": _weight(shape, 15_000), "v_num_grad_steps": of(shape.kind, 35, 25, 25)}
    return memit(shape) | changes


def emmet(shape: ModelShape) -> Settings:
    """EMMET, at ROME's layer."""
    kind = shape.kind
    return memit(shape) | {
        "layers": [shape.layer(_ONE_LAYER[kind], DEPTH[kind])],
        "mom2_update_weight": _weight(shape, of(kind, 10_000, 100_000, 100_000)),
        "update_norm_lambda": 0,
        "emmet_lambda": 0.1,
    }


def pmet(shape: ModelShape) -> Settings:
    """PMET adds to what attention and MLP write, so that it wants the projections they write by."""
    return memit(shape) | {
        "rewrite_module_tmps": [shape.writer("mlp")],
        "mlp_module_tmp": shape.writer("mlp"),
        "attn_module_tmp": shape.writer("attention"),
        "v_num_grad_steps": of(shape.kind, 30, 30, 20),
        "v_lr": of(shape.kind, 0.2, 0.2, 0.5),
        "v_weight_decay": 0.5,
        "kl_factor": of(shape.kind, 1, 1, 0.0625),
        "clamp_norm_factor": of(shape.kind, 0.75, 0.75, 1),
        "mom2_update_weight": _weight(shape, 15_000),
        "nll_loss_factor": 1,
    }


def alphaedit(shape: ModelShape) -> Settings:
    """The newest of EasyEdit's presets for models with a gate, Qwen2.5 7B's, seeks values as its MEMIT does."""
    return memit(shape) | {"P_loc": "", "nullspace_threshold": 0.02, "L2": of(shape.kind, 10, 10, 1)}


def sphere(shape: ModelShape) -> Settings:
    """SPHERE: AlphaEdit's, and its own."""
    return alphaedit(shape) | {"cumulative_ratio": 0.5, "suppression_strength": 0.5}


def core(shape: ModelShape) -> Settings:
    """EasyEdit has no preset: MEMIT's, with what its class gives by default."""
    return memit(shape) | {"ctx_num": 5, "ctx_len": 10, "ctx_top_k": 5}


def eamet(shape: ModelShape) -> Settings:
    """EasyEdit has a preset for Qwen2.5 7B alone, whose projections have 18,944 inputs."""
    base = memit(shape)
    return base | {
        "mom2_update_weight": [round(15_000 * shape.inner / 18_944, 1)] * len(base["layers"]),
        "v_weight_decay": 1e-3,
        "clamp_norm_factor": 4,
        "clamp_ks_factor": 1,
        "ks_bs": 1,
        "cs_factor": 1,
        "mse_factor": 1,
        "tau": 0.07,
        "norm_factor": 1e-3,
        "delta_init": "target_init",
        "weight_decay_method": "norm",
    }
