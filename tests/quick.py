"""Settings that make algorithms quick on a tiny model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from easyedit_ice.edit.registry import ALGORITHMS

FEW_TEXTS = {
    "num_contexts": 2,
    "continuation_samples": 2,
    "continuation_length": 3,
    "free_samples": 2,
    "free_length": 4,
    "locality_samples": 4,
    "locality_length": 6,
}
"""Of in-context editing and locality."""
UNPROTECTED = {"protection": "none", "init": "zero"}

CLOSED_FORM = {
    "layers": [0],
    "v_lr": 0.03,
    "v_num_grad_steps": 8,
    "v_weight_decay": 0.0,
    "kl_factor": 0.0,
    "clamp_norm_factor": 20,
    "mom2_update_weight": 1.0,
    "context_template_length_params": [[4, 2]],
}
"""Settings with which the closed-form editors find values in a tiny random model, whose states are small."""

ANY_CONSEQUENCES = {"num_steps": 3, "least_gain": 0.0, "least_odds": -20.0, "free_samples": 4}
"""Of ICE-Grad: in a tiny random model a context raises no token by much, and none is likely."""

FEW_STEPS = {"num_steps": 3, "rank": 2}
NO_END = {"append_eos": False}
"""Spares a look at how the model ends its answers, which LoRA-BF and ICE-LoRA take for all who train."""
GIVEN_TEXT = {"mom2_dataset": "factworld", "dynamic_multiplier": 1}
"""Spares a model that is made for a test the time in which it would write general text."""
FEW_STEPS_NO_END = FEW_STEPS | NO_END
QUICK_EDITS: dict[str, dict[str, Any]] = {
    "SVF": {"num_steps": 3, "lr": 0.5},
    "ICE-LoRA": {**FEW_STEPS, **FEW_TEXTS, **UNPROTECTED},
    "FastGrad": {"num_steps": 3, **NO_END, **GIVEN_TEXT},
    "FastICE": {"neighbour_names": 4, **GIVEN_TEXT},
    "ICE-Grad": {**ANY_CONSEQUENCES, "continuation_samples": 2, **NO_END, **GIVEN_TEXT},
    "AdaLoRA": {**FEW_STEPS_NO_END, "num_steps": 6, "lr": 1e-2, "orth_reg_weight": 0.01},
    "LocFT-BF": {"num_steps": 3, **NO_END},
    "LoRA-BF": FEW_STEPS,
    **dict.fromkeys(("DoRA", "GoRA", "QLoRA-BF"), FEW_STEPS_NO_END),
    "FastGate": {name: value for name, value in CLOSED_FORM.items() if name != "mom2_update_weight"},
    **dict.fromkeys(("FastMEMIT", "FastEMMET", "FastROME"), CLOSED_FORM),
}
"""By algorithm, with which it edits a tiny random model in little time; where none are named, the defaults do."""


def of(algorithm: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some settings that an algorithm has."""
    return {name: value for name, value in settings.items() if ALGORITHMS[algorithm].has_setting(name)}
