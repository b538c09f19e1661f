"""Methods that train weights or adapters, and those that search."""

from __future__ import annotations

from easyedit_ice.easyedit.auto_settings.model_shape import ModelShape
from easyedit_ice.easyedit.auto_settings.published import DEPTH, Settings, of, paths


def ft(shape: ModelShape) -> Settings:
    """At head FT-M, which trains on the whole target; the release knows ``prompt_last`` alone."""
    kind = shape.kind
    return {
        **paths(shape),
        "layers": [shape.layer(of(kind, 0, 21, 21), DEPTH[kind])],
        "num_steps": 25,
        "batch_size": 1,
        "max_length": 40,
        "lr": 5e-4,
        "weight_decay": 0,
        "kl_factor": 0,
        "norm_constraint": of(kind, 5e-4, False, False),
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


def lora(shape: ModelShape) -> Settings:
    """LoRA."""
    settings = {"lora_type": "adalora", "rank": 8, "num_steps": of(shape.kind, 30, 50, 70), "lr": 5e-3}
    return _low_rank(shape) | settings


def dpo(shape: ModelShape) -> Settings:
    """DPO."""
    settings = {"lora_type": "adalora", "rank": 8, "num_steps": 7, "lr": 5e-5, "alpha": 0.99, "beta": 0.1}
    return _low_rank(shape) | settings


def qlora(shape: ModelShape) -> Settings:
    """QLoRA."""
    quantised = {"quantization_bit": 4, "double_quant": True, "quant_type": "nf4"}
    return _low_rank(shape) | quantised | {"lora_type": "lora", "lora_r": 8, "num_steps": 2, "lr": 5e-3}


def ike(shape: ModelShape) -> Settings:
    """IKE."""
    return {"sentence_model_name": "", "k": 16, "results_dir": "", "use_icl_examples": True}


def kn(shape: ModelShape) -> Settings:
    """KN."""
    steps = of(shape.kind, 20, 20, 1)
    settings = {"batch_size": steps, "steps": steps, "adaptive_threshold": of(shape.kind, 0.2, 0.1, 0.2)}
    return settings | {"lr_scale": 1.0, "n_toks": 10, "refine": False, "p": 0.4}


def ultraedit(shape: ModelShape) -> Settings:
    """The last third of the blocks: what the MLP reads by where it has a gate (Qwen2.5 7B), and writes by elsewhere."""
    edited = shape.projections("mlp", "in") if shape.kind == "gated" else [shape.writer("mlp")]
    layers = shape.layers(range(18, 27), 28)
    return {
        "model_class": "AutoModelForCausalLM",
        "tokenizer_class": "AutoTokenizer",
        "tokenizer_name": shape.checkpoint,
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


def simie(shape: ModelShape) -> Settings:
    """SimIE around ROME."""
    return {
        "base_method": "ROME",
        "lamHyper": 10_000.0,
        "init_model": True,
        "solver": "LU",
        "fast": False,
        "fp16": False,
        "max_length": 40,
    }
