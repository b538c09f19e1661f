"""LoRA-BF: fine-tuning of low-rank adapters, breadth-first.

L = CE(x* | q) over the factors of ΔW = (α/r) B A (Hu et al. 2021, arXiv 2106.09685).
"""

from __future__ import annotations

from dataclasses import dataclass

from easyedit_ice.hparams import setting
from easyedit_ice.training.settings import TrainingHyperParams


@dataclass
class LoraHyperParams(TrainingHyperParams):
    """Settings of LoRA-BF."""

    alg_name: str = setting("LoRA-BF", "name of the algorithm in the table")
