"""LoRA-BF: fine-tuning of low-rank adapters, breadth-first.

L = CE(x* | q) over the factors of ΔW = (α/r) B A (Hu et al. 2021, arXiv 2106.09685).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.editors.gradient.adapters import LowRankSettings
from easyedit_ice.editors.gradient.solve import prepare, solve
from easyedit_ice.editors.gradient.training_memory import plan
from easyedit_ice.editors.gradient.training_settings import AdaptersByName, TrainingHyperParams


@dataclass
class LoraHyperParams(LowRankSettings, TrainingHyperParams):
    """Settings of LoRA-BF."""

    adapters: ClassVar[AdaptersByName] = {"lora": LowRankSettings}


ALGORITHM = Algorithm(
    name="LoRA-BF",
    hparams=LoraHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    summary="fine-tuning of low-rank adapters, breadth-first",
)
