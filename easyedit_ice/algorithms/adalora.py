"""AdaLoRA: fine-tuning of adapters whose rank goes where it is needed, breadth-first.

The parametrisation and its schedule: :mod:`easyedit_ice.training.adapters.adalora` (arXiv 2303.10512).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.hparams import setting
from easyedit_ice.registry import Algorithm
from easyedit_ice.training.adapters import AdaptiveSettings
from easyedit_ice.training.footprint import plan
from easyedit_ice.training.in_context import InContextSettings
from easyedit_ice.training.objectives import ObjectiveSettings
from easyedit_ice.training.settings import TrainingHyperParams
from easyedit_ice.training.solve import prepare, solve


@dataclass
class AdaLoraHyperParams(InContextSettings, AdaptiveSettings, TrainingHyperParams):
    """Settings of AdaLoRA."""

    objective: str = setting("ft", "fine-tuning on the target; or in-context editing besides", choices=("ft", "ice"))

    adapters: ClassVar = {"adalora": AdaptiveSettings}
    objectives: ClassVar = {"ft": ObjectiveSettings, "ice": InContextSettings}


ALGORITHM = Algorithm(
    name="AdaLoRA",
    hparams=AdaLoraHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    summary="fine-tuning of adapters whose rank goes where it is needed",
)
