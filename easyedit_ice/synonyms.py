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
}
"""The name of a setting by what it is called elsewhere."""


def usual_name(name: str, known: Collection[str]) -> str:
    """The name a setting has here: itself, unless it is not among the known ones and another name for it is."""
    other = SYNONYMS.get(name)
    return other if name not in known and other in known else name
