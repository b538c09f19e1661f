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


def of(algorithm: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some settings that an algorithm has."""
    return {name: value for name, value in settings.items() if ALGORITHMS[algorithm].has_setting(name)}
