"""Names that settings have elsewhere: in peft, transformers, and papers."""

from __future__ import annotations

from collections.abc import Collection

SYNONYMS = {
    "learning_rate": "lr",
    "epochs": "num_steps",
    "num_epochs": "num_steps",
    "steps": "num_steps",
    "max_steps": "num_steps",
    "r": "rank",
    "lora_r": "rank",
    "lora_rank": "rank",
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "modules": "target_modules",
    "wd": "weight_decay",
    "random_seed": "seed",
    "layers_to_transform": "layers",
    "target_layers": "layers",
    "layer": "layers",
    "num_train_epochs": "num_steps",
    "num_epoch": "num_steps",
    "iterations": "num_steps",
    "max_grad": "max_grad_norm",
    "grad_clip": "max_grad_norm",
    "torch_dtype": "dtype",
    "model": "model_name",
    "use_chat_template": "chat",
    "v_steps": "v_num_grad_steps",
}
"""The name of a setting by what it is called elsewhere."""


def usual_name(name: str, names: Collection[str]) -> str:
    """The name a setting has here: itself, unless it is not among these and another name for it is.

    Dashes stand for underscores.
    """
    name = name.replace("-", "_")
    other = SYNONYMS.get(name, name)
    return other if name not in names and other in names else name
