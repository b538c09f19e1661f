"""Settings that every algorithm of the gradient path once had, whatever it trains.

Files and saved updates of then hold all of them. Where an algorithm no longer has one, the value that stood there when
nothing was said is passed over, and any other one refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EARLIER: Mapping[str, Any] = {
    "rank": 16,
    "lora_alpha": 16.0,
    "lora_dropout": 0.0,
    "rank_allocation": "fixed",
    "rank_min": 4,
    "rank_max": 32,
    "init": "zero",
    "init_gain": 0.05,
    "init_r": None,
    "tinit": None,
    "tfinal": None,
    "deltaT": 1,
    "orth_reg_weight": 0.1,
    "svd": "exact",
    "svd_rank": None,
    "spectral_form": "diagonal",
    "off_diagonals": 1,
    "sum_normalised": False,
    "clamp": None,
    "protection": "none",
    "protected_energy": 0.9,
    "protected_rank": None,
    "softness": 0.001,
    "memory_softness": 1.0,
    "neighbour_softness": None,
    "memory_energy": 0.95,
    "memory_rank": None,
    "least_gradient": 0.2,
    "mom2_dataset": "auto",
    "dynamic_multiplier": 3,
    "ice_weight": 1.0,
    "free_weight": 1.0,
    "free_about": ["subject", "target", "anything"],
    "teacher": "static",
    "context_sources": ["template"],
    "context_templates": None,
    "num_contexts": 5,
    "context_nll_weight": 0.0,
    "continuation_samples": 8,
    "continuation_length": 8,
    "free_samples": 16,
    "free_length": 16,
    "ice_rows": 4,
    "resample_every": 0,
    "temperature": 1.0,
    "top_k": 0,
    "stop_kl": None,
    "answers": 16,
    "answer_length": 12,
    "answer_temperature": 1.0,
    "reward": "exact",
    "reward_baseline": "mean",
    "reinforce_kl_weight": 0.1,
}
"""Names and values, as they were where nothing was said."""
