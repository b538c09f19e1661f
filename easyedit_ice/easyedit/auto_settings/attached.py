"""Methods that put modules of their own into a late block."""

from __future__ import annotations

from easyedit_ice.easyedit.auto_settings.model_shape import ModelShape
from easyedit_ice.easyedit.auto_settings.published import DEPTH, Settings, of


def _weight_of(template: str, layer: int) -> str:
    """A weight as WISE, GRACE and DEFER name it, who evaluate the name: with the block in brackets."""
    return f"{template.replace('.{}', '[{}]').format(layer)}.weight"


def _late_weight(shape: ModelShape, layer: int, depth: int) -> list[str]:
    """Of a late block: what the MLP reads by where weights are stored (in, out), and writes by elsewhere."""
    template = shape.projections("mlp", "in")[0] if shape.kind == "transposed" else shape.writer("mlp")
    return [_weight_of(template, shape.layer(layer, depth))]


def wise(shape: ModelShape) -> Settings:
    """WISE; GPT-2 XL's preset is in truth that of the GPT-2 with 12 blocks."""
    kind = shape.kind
    layer, depth = of(kind, (8, 12), (21, 28), (27, 32))
    return {
        "inner_params": _late_weight(shape, layer, depth),
        "mask_ratio": 0.2,
        "edit_lr": 1.0,
        "n_iter": of(kind, 40, 70, 70),
        "norm_constraint": 1.0,
        "act_margin": of(kind, [5.0, 20.0, 10.0], [15.0, 40.0, 20.0], [5.0, 20.0, 10.0]),
        "act_ratio": of(kind, 0.8, 0.88, 0.88),
        "save_freq": 500,
        "merge_freq": 1000,
        "merge_alg": "ties",
        "objective_optimization": "only_label",
        "densities": 0.53,
        "weights": 1.0,
        "retrieve": True,
        "replay": False,
    }


def grace(shape: ModelShape) -> Settings:
    """GRACE."""
    kind = shape.kind
    return {
        "inner_params": _late_weight(shape, of(kind, 35, 25, 27), DEPTH[kind]),
        "edit_lr": 1.0,
        "n_iter": of(kind, 200, 200, 50),
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


def defer(shape: ModelShape) -> Settings:
    """DEFER; EasyEdit has no preset for GPT-2: GRACE's block."""
    inner = _late_weight(shape, of(shape.kind, 35, 25, 27), DEPTH[shape.kind])
    return {"inner_params": inner, "edit_lr": 7e-5, "n_iter": 100, "threshold": 0.5}


def melo(shape: ModelShape) -> Settings:
    """EasyEdit has a preset for GPT-2 XL alone: three blocks at three quarters of the depth, the first for its keys."""
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
            "name": shape.checkpoint,
            "class_name": "AutoModelForCausalLM",
            "tokenizer_class": "AutoTokenizer",
            "tokenizer_name": shape.checkpoint,
            "fan_in_fan_out": shape.kind == "transposed",
            "target_modules": [reads.format(last - 1), reads.format(last)],
            "pt": "",
            "grace_layer": reads.format(last - 2),
        },
        "lora": {
            "cls_name": shape.checkpoint,
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
