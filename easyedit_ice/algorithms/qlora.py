"""QLoRA-BF: fine-tuning of low-rank adapters beside weights in 4 or 8 bits, breadth-first.

Dettmers et al. 2023, arXiv 2305.14314. The packed weights are never rewritten: an edit is attached beside them, is
there while the model is used, and is detached exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

from easyedit_ice.hparams import other_default, setting
from easyedit_ice.training.settings import TrainingHyperParams


@dataclass
class QLoraHyperParams(TrainingHyperParams):
    """Settings of QLoRA-BF."""

    alg_name: str = setting("QLoRA-BF", "name of the algorithm in the table")
    quantization_bit: int | None = other_default(TrainingHyperParams, "quantization_bit", 4)
