"""Settings of EasyEdit's methods for a model without a preset, made from the model's shape.

Each number is that of EasyEdit's own preset for the published model that is most like the one at hand: GPT-2 XL where
weights are stored (in, out), Llama 2 7B (or what stands for it there) where the MLP has a gate, GPT-J 6B elsewhere. A
number that belongs to that model is carried over by a rule:

- Paths of modules are read from the model's modules.
- A layer keeps its relative depth, ``layer / (depth - 1)``, rounded; of a band of layers each is carried over, and
  those that fall together are one. Values are sought under the loss at the last block.
- ``mom2_update_weight``, and EMMET's, keep their ratio to the inputs of the projection: the mean of kᵀC⁻¹k over text is
  that number, and a fact's share of the solution depends on the ratio of the two.
- Second moments are measured by this package on ten tokens for each input (``mom2_dataset: auto``,
  ``mom2_n_samples`` tokens), once for each model and layer, since EasyEdit's are collected from a download.
- IKE's encoder of sentences is made of the model, for the same reason.

What only one of the two EasyEdits knows is among them; it is left out for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.host.shape import Kind, ModelShape

AUTO = "auto"
"""Name of these settings in place of a preset's."""
TOKENS_FOR_EACH_INPUT = 10

_DEPTH: Mapping[Kind, int] = {"transposed": 48, "plain": 28, "gated": 32}
_INNER: Mapping[Kind, int] = {"transposed": 6400, "plain": 16384, "gated": 11008}
_ONE_LAYER: Mapping[Kind, int] = {"transposed": 17, "plain": 5, "gated": 5}
_LAYERS: Mapping[Kind, range] = {"transposed": range(13, 18), "plain": range(3, 9), "gated": range(4, 9)}

Settings = dict[str, Any]


def auto_settings(name: str, anatomy: ModelAnatomy) -> Settings:
    """The settings of a method of EasyEdit for a model.

    Args:
        name: one of :data:`~easyedit_ice.host.catalogue.HOST_METHODS`.
        anatomy: of the model, which may be on torch's meta device.

    Raises:
        AnatomyError: the model lacks a part that the settings name.
    """
    checkpoint = str(getattr(anatomy.model.config, "_name_or_path", ""))
    common = {"alg_name": name, "model_name": checkpoint, "device": "cpu", "model_parallel": False}
    return common | _RULES[name](ModelShape(anatomy), checkpoint)


def _of(kind: Kind, transposed: Any, plain: Any, gated: Any) -> Any:
    return {"transposed": transposed, "plain": plain, "gated": gated}[kind]


def _paths(shape: ModelShape) -> Settings:
    return {
        "rewrite_module_tmp": shape.writer("mlp"),
        "layer_module_tmp": shape.block,
        "mlp_module_tmp": shape.module("mlp"),
        "attn_module_tmp": shape.module("attention"),
        "ln_f_module": shape.final_norm,
        "lm_head_module": shape.head,
    }


def _moments(shape: ModelShape) -> Settings:
    return {
        "mom2_dataset": AUTO,
        "mom2_n_samples": TOKENS_FOR_EACH_INPUT * shape.inner,
        "mom2_dtype": "float32",
        "stats_dir": "data/stats",
    }


def _weight(shape: ModelShape, published: float) -> float:
    return round(published * shape.inner / _INNER[shape.kind], 1)


def _values(shape: ModelShape) -> Settings:
    """How values are sought."""
    return {
        "fact_token": "subject_last",
        "v_num_grad_steps": _of(shape.kind, 20, 25, 25),
        "v_lr": 0.5,
        "v_loss_layer": shape.depth - 1,
        "v_weight_decay": _of(shape.kind, 0.5, 0.5, 1e-3),
        "kl_factor": 0.0625,
    }


def _rome(shape: ModelShape, checkpoint: str) -> Settings:
    kind = shape.kind
    return {
        **_paths(shape),
        **_moments(shape),
        **_values(shape),
        "layers": [shape.layer(_ONE_LAYER[kind], _DEPTH[kind])],
        "v_num_grad_steps": _of(kind, 20, 20, 25),
        "clamp_norm_factor": 4,
        "context_template_length_params": [[5, 10], [10, 10]],
        "mom2_adjustment": False,
        "fp16": False,
    }


def _memit(shape: ModelShape, checkpoint: str) -> Settings:
    kind = shape.kind
    return {
        **_paths(shape),
        **_moments(shape),
        **_values(shape),
        "layers": shape.layers(_LAYERS[kind], _DEPTH[kind]),
        "layer_selection": "all",
        "clamp_norm_factor": _of(kind, 0.75, 0.75, 4),
        "mom2_adjustment": True,
        "mom2_update_weight": _weight(shape, _of(kind, 20_000, 15_000, 15_000)),
    }


def _memit_fe(shape: ModelShape, checkpoint: str) -> Settings:
    own = {"mom2_update_weight": _weight(shape, 15_000), "v_num_grad_steps": _of(shape.kind, 35, 25, 25)}
    return _memit(shape, checkpoint) | own


def _emmet(shape: ModelShape, checkpoint: str) -> Settings:
    kind = shape.kind
    return _memit(shape, checkpoint) | {
        "layers": [shape.layer(_ONE_LAYER[kind], _DEPTH[kind])],
        "mom2_update_weight": _weight(shape, _of(kind, 10_000, 100_000, 100_000)),
        "update_norm_lambda": 0,
        "emmet_lambda": 0.1,
    }


def _pmet(shape: ModelShape, checkpoint: str) -> Settings:
    """PMET adds to what attention and MLP write, so that it wants the projections they write by."""
    return _memit(shape, checkpoint) | {
        "rewrite_module_tmps": [shape.writer("mlp")],
        "mlp_module_tmp": shape.writer("mlp"),
        "attn_module_tmp": shape.writer("attention"),
        "v_num_grad_steps": _of(shape.kind, 30, 30, 20),
        "v_lr": _of(shape.kind, 0.2, 0.2, 0.5),
        "v_weight_decay": 0.5,
        "kl_factor": _of(shape.kind, 1, 1, 0.0625),
        "clamp_norm_factor": _of(shape.kind, 0.75, 0.75, 1),
        "mom2_update_weight": _weight(shape, 15_000),
        "nll_loss_factor": 1,
    }


def _alphaedit(shape: ModelShape, checkpoint: str) -> Settings:
    """The newest of EasyEdit's presets for models with a gate, Qwen2.5 7B's, seeks values as its MEMIT does."""
    return _memit(shape, checkpoint) | {"P_loc": "", "nullspace_threshold": 0.02, "L2": _of(shape.kind, 10, 10, 1)}


def _sphere(shape: ModelShape, checkpoint: str) -> Settings:
    return _alphaedit(shape, checkpoint) | {"cumulative_ratio": 0.5, "suppression_strength": 0.5}


def _core(shape: ModelShape, checkpoint: str) -> Settings:
    """EasyEdit has no preset: MEMIT's, with what its class gives by default."""
    return _memit(shape, checkpoint) | {"ctx_num": 5, "ctx_len": 10, "ctx_top_k": 5}


def _eamet(shape: ModelShape, checkpoint: str) -> Settings:
    """EasyEdit has a preset for Qwen2.5 7B alone, whose projections have 18,944 inputs."""
    memit = _memit(shape, checkpoint)
    return memit | {
        "mom2_update_weight": [round(15_000 * shape.inner / 18_944, 1)] * len(memit["layers"]),
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


def _ft(shape: ModelShape, checkpoint: str) -> Settings:
    """At head FT-M, which trains on the whole target; the release knows ``prompt_last`` alone."""
    kind = shape.kind
    return {
        **_paths(shape),
        "layers": [shape.layer(_of(kind, 0, 21, 21), _DEPTH[kind])],
        "num_steps": 25,
        "batch_size": 1,
        "max_length": 40,
        "lr": 5e-4,
        "weight_decay": 0,
        "kl_factor": 0,
        "norm_constraint": _of(kind, 5e-4, False, False),
        "objective_optimization": "target_new",
    }


def _low_rank(shape: ModelShape) -> Settings:
    return {
        "layers": [],
        "batch_size": 1,
        "max_length": 30,
        "weight_decay": 0,
        "kl_factor": 0,
        "lora_alpha": 32,
        "lora_dropout": 0.1,
        "norm_constraint": False,
        "target_modules": shape.attention_queries_and_values(),
    }


def _lora(shape: ModelShape, checkpoint: str) -> Settings:
    own = {"lora_type": "adalora", "rank": 8, "num_steps": _of(shape.kind, 30, 50, 70), "lr": 5e-3}
    return _low_rank(shape) | own


def _dpo(shape: ModelShape, checkpoint: str) -> Settings:
    own = {"lora_type": "adalora", "rank": 8, "num_steps": 7, "lr": 5e-5, "alpha": 0.99, "beta": 0.1}
    return _low_rank(shape) | own


def _qlora(shape: ModelShape, checkpoint: str) -> Settings:
    quantised = {"quantization_bit": 4, "double_quant": True, "quant_type": "nf4"}
    return _low_rank(shape) | quantised | {"lora_type": "lora", "lora_r": 8, "num_steps": 2, "lr": 5e-3}


def _ike(shape: ModelShape, checkpoint: str) -> Settings:
    return {"sentence_model_name": "", "k": 16, "results_dir": "", "use_icl_examples": True}


def _kn(shape: ModelShape, checkpoint: str) -> Settings:
    steps = _of(shape.kind, 20, 20, 1)
    own = {"batch_size": steps, "steps": steps, "adaptive_threshold": _of(shape.kind, 0.2, 0.1, 0.2)}
    return own | {"lr_scale": 1.0, "n_toks": 10, "refine": False, "p": 0.4}


def _weight_of(template: str, layer: int) -> str:
    """A weight as WISE, GRACE and DEFER name it, who evaluate the name: with the block in brackets."""
    return f"{template.replace('.{}', '[{}]').format(layer)}.weight"


def _late_weight(shape: ModelShape, layer: int, depth: int) -> list[str]:
    """Of a late block: what the MLP reads by where weights are stored (in, out), and writes by elsewhere."""
    template = shape.projections("mlp", "in")[0] if shape.kind == "transposed" else shape.writer("mlp")
    return [_weight_of(template, shape.layer(layer, depth))]


def _wise(shape: ModelShape, checkpoint: str) -> Settings:
    kind = shape.kind
    layer, depth = _of(kind, (8, 12), (21, 28), (27, 32))
    return {
        "inner_params": _late_weight(shape, layer, depth),
        "mask_ratio": 0.2,
        "edit_lr": 1.0,
        "n_iter": _of(kind, 40, 70, 70),
        "norm_constraint": 1.0,
        "act_margin": _of(kind, [5.0, 20.0, 10.0], [15.0, 40.0, 20.0], [5.0, 20.0, 10.0]),
        "act_ratio": _of(kind, 0.8, 0.88, 0.88),
        "save_freq": 500,
        "merge_freq": 1000,
        "merge_alg": "ties",
        "objective_optimization": "only_label",
        "densities": 0.53,
        "weights": 1.0,
        "retrieve": True,
        "replay": False,
    }


def _grace(shape: ModelShape, checkpoint: str) -> Settings:
    kind = shape.kind
    return {
        "inner_params": _late_weight(shape, _of(kind, 35, 25, 27), _DEPTH[kind]),
        "edit_lr": 1.0,
        "n_iter": _of(kind, 200, 200, 50),
        "eps": 1.0,
        "dist_fn": "euc",
        "val_init": "cold",
        "val_train": "sgd",
        "val_reg": "None",
        "reg": "early_stop",
        "replacement": "replace_last",
        "eps_expand": "coverage",
        "num_pert": 8,
        "dropout": 0.0,
    }


def _defer(shape: ModelShape, checkpoint: str) -> Settings:
    inner = _late_weight(shape, _of(shape.kind, 35, 25, 27), _DEPTH[shape.kind])
    return {"inner_params": inner, "edit_lr": 7e-5, "n_iter": 100, "threshold": 0.5}


def _melo(shape: ModelShape, checkpoint: str) -> Settings:
    """EasyEdit has a preset for GPT-2 XL alone: three blocks at three quarters of the depth, the first of them GRACE's."""
    last = max(shape.layer(37, 48), 2)
    reads = shape.projections("mlp", "in")[0]
    return {
        "max_length": 512,
        "task": "hall",
        "lora_task_type": "CAUSAL_LM",
        "check_dir": None,
        "grace": {
            "name": "grace",
            "num_iter": 50,
            "init_radius": 0.5,
            "dist_fn": "euc",
            "val_init": "cold",
            "val_train": "sgd",
            "val_reg": "None",
            "reg": "early_stop",
            "replacement": "replace_prompt",
            "expand_mode": "moving_avg",
            "num_pert": 8,
            "key_id": -1,
            "num_edit_per_block": 4,
            "num_block": 350,
            "num_rank_per_block": 2,
            "metric_period": 400,
            "edit_lr": 0.001,
        },
        "model": {
            "name": checkpoint,
            "class_name": "AutoModelForCausalLM",
            "tokenizer_class": "AutoTokenizer",
            "tokenizer_name": checkpoint,
            "fan_in_fan_out": shape.kind == "transposed",
            "target_modules": [reads.format(last - 1), reads.format(last)],
            "pt": "",
            "grace_layer": reads.format(last - 2),
        },
        "lora": {
            "cls_name": checkpoint,
            "cls_class": "AutoModel",
            "supervised": True,
            "cos": False,
            "freeze": None,
            "square": True,
            "bound_embeds": False,
            "use_all_negatives": False,
            "freeze_lora": False,
            "dist_heads": 1,
            "cross_attend": False,
            "soft_weighting": False,
            "checkpoint_grad": False,
            "lora_r": 64,
            "lora_alpha": 64,
            "lora_dropout": 0.0,
        },
    }


def _ultraedit(shape: ModelShape, checkpoint: str) -> Settings:
    """The last third of the blocks: what the MLP reads by where it has a gate (Qwen2.5 7B), and writes by elsewhere."""
    edited = shape.projections("mlp", "in") if shape.kind == "gated" else [shape.writer("mlp")]
    layers = shape.layers(range(18, 27), 28)
    return {
        "model_class": "AutoModelForCausalLM",
        "tokenizer_class": "AutoTokenizer",
        "tokenizer_name": checkpoint,
        "inner_params": [template.format(layer) for template in edited for layer in layers],
        "dropout": 0.0,
        "no_grad_layers": None,
        "lr": 1e-6,
        "token": "mask",
        "batch_size": 1,
        "batch_size_once": 1,
        "editor_batch_size": 1024,
        "silent": False,
        "half": False,
        "results_dir": "",
    }


def _simie(shape: ModelShape, checkpoint: str) -> Settings:
    return {
        "base_method": "ROME",
        "lamHyper": 10_000.0,
        "init_model": True,
        "solver": "LU",
        "fast": False,
        "fp16": False,
        "max_length": 40,
    }


_RULES: dict[str, Callable[[ModelShape, str], Settings]] = {
    "FT": _ft,
    "LoRA": _lora,
    "ROME": _rome,
    "MEMIT": _memit,
    "KN": _kn,
    "IKE": _ike,
    "R-ROME": _rome,
    "EMMET": _emmet,
    "PMET": _pmet,
    "AlphaEdit": _alphaedit,
    "SPHERE": _sphere,
    "CORE": _core,
    "MEMIT-FE": _memit_fe,
    "EAMET": _eamet,
    "WISE": _wise,
    "GRACE": _grace,
    "DEFER": _defer,
    "MELO": _melo,
    "ULTRAEDIT": _ultraedit,
    "QLoRA": _qlora,
    "DPO": _dpo,
    "SimIE": _simie,
}
