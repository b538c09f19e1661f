"""AdaLoRA: fine-tuning of adapters whose rank goes where it is needed, breadth-first.

The parametrisation and its schedule: :mod:`easyedit_ice.editors.gradient.adapters.adalora` (arXiv 2303.10512).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.editors.gradient.adapters import AdaptiveSettings
from easyedit_ice.editors.gradient.in_context import InContextSettings
from easyedit_ice.editors.gradient.objectives import ObjectiveSettings
from easyedit_ice.editors.gradient.solve import prepare, solve
from easyedit_ice.editors.gradient.training_memory import plan
from easyedit_ice.editors.gradient.training_settings import AdaptersByName, ObjectivesByName, TrainingHyperParams


@dataclass
class AdaLoraHyperParams(InContextSettings, AdaptiveSettings, TrainingHyperParams):
    """Settings of AdaLoRA."""

    objective: str = setting("ft", "fine-tuning on the target; or in-context editing besides", choices=("ft", "ice"))

    adapters: ClassVar[AdaptersByName] = {"adalora": AdaptiveSettings}
    objectives: ClassVar[ObjectivesByName] = {"ft": ObjectiveSettings, "ice": InContextSettings}


ALGORITHM = Algorithm(
    name="AdaLoRA",
    hparams=AdaLoraHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    summary="fine-tuning of adapters whose rank goes where it is needed",
)
