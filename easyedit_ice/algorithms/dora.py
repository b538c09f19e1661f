"""DoRA: fine-tuning of directions and magnitudes apart, breadth-first.

The parametrisation: :mod:`easyedit_ice.training.adapters.dora` (arXiv 2402.09353).
"""

from __future__ import annotations

from dataclasses import dataclass

from easyedit_ice.hparams import other_default, setting
from easyedit_ice.training.settings import TrainingHyperParams


@dataclass
class DoraHyperParams(TrainingHyperParams):
    """Settings of DoRA."""

    alg_name: str = setting("DoRA", "name of the algorithm in the table")
    adapter: str = other_default(TrainingHyperParams, "adapter", "dora")
