"""AdaLoRA: fine-tuning of adapters whose rank goes where it is needed, breadth-first.

The parametrisation and its schedule: :mod:`easyedit_ice.training.adapters.adalora` (arXiv 2303.10512).
"""

from __future__ import annotations

from dataclasses import dataclass

from easyedit_ice.hparams import other_default, setting
from easyedit_ice.training.settings import TrainingHyperParams


@dataclass
class AdaLoraHyperParams(TrainingHyperParams):
    """Settings of AdaLoRA."""

    alg_name: str = setting("AdaLoRA", "name of the algorithm in the table")
    adapter: str = other_default(TrainingHyperParams, "adapter", "adalora")
