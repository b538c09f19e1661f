"""QLoRA-BF: fine-tuning of low-rank adapters beside weights in 4 or 8 bits, breadth-first.

Dettmers et al. 2023, arXiv 2305.14314. The packed weights are never rewritten: an edit is attached beside them, is
there while the model is used, and is detached exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.edit.hparams import other_default
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.editors.gradient.adapters import LowRankSettings
from easyedit_ice.editors.gradient.solve import prepare, solve
from easyedit_ice.editors.gradient.training_memory import plan
from easyedit_ice.editors.gradient.training_settings import AdaptersByName, TrainingHyperParams


@dataclass
class QLoraHyperParams(LowRankSettings, TrainingHyperParams):
    """Settings of QLoRA-BF."""

    quantization_bit: int | None = other_default(TrainingHyperParams, "quantization_bit", 4)

    adapters: ClassVar[AdaptersByName] = {"lora": LowRankSettings}


ALGORITHM = Algorithm(
    name="QLoRA-BF",
    hparams=QLoraHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    summary="fine-tuning of low-rank adapters beside weights in 4 or 8 bits",
)
