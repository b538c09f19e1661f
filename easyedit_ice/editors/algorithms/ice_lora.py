"""ICE-LoRA: in-context editing on low-rank adapters.

L = CE(x* | q) + λ · KL(p(x | c, q) ‖ p(x | q)) + λ_free · KL(p(x | c, s) ‖ p(x | s)) + λ_loc · KL(p_0 ‖ p)

The first two are In-Context Editing (Qi et al. 2024, arXiv 2406.11194): a context c that states the new fact
makes the model its own teacher, and without c it learns to answer alike. The third applies the same idea to
what the model writes freely about the subject s under c, so that consequences of the fact are learned. ICE acts
within the edit's scope only; the fourth, on general text and on the prompt with other names, keeps the rest. So does
protection, as GoRA has it: off the directions of general text, a fact is learned in fewer and longer steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.edit.hparams import other_default, setting
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.editors.gradient.adapters import DenseSettings, LowRankSettings
from easyedit_ice.editors.gradient.in_context import InContextSettings
from easyedit_ice.editors.gradient.protection.subspaces import ProtectionSettings
from easyedit_ice.editors.gradient.solve import prepare, second_moments, solve
from easyedit_ice.editors.gradient.training_memory import plan
from easyedit_ice.editors.gradient.training_settings import AdaptersByName, ObjectivesByName, TrainingHyperParams


@dataclass
class IceLoraHyperParams(InContextSettings, ProtectionSettings, LowRankSettings, TrainingHyperParams):
    """Settings of ICE-LoRA."""

    adapter: str = setting(
        "lora", "what is trained: factors of low rank; or dense, whole matrices", choices=("lora", "dense")
    )
    protection: str = other_default(ProtectionSettings, "protection", "soft")
    init: str = other_default(LowRankSettings, "init", "keys")
    locality_weight: float = other_default(TrainingHyperParams, "locality_weight", 1.0)
    neighbour_weight: float = other_default(TrainingHyperParams, "neighbour_weight", 1.0)

    adapters: ClassVar[AdaptersByName] = {"lora": LowRankSettings, "dense": DenseSettings}
    objectives: ClassVar[ObjectivesByName] = {"ice": InContextSettings}


ALGORITHM = Algorithm(
    name="ICE-LoRA",
    hparams=IceLoraHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    second_moments=second_moments,
    summary="in-context editing's KL objective on low-rank adapters",
)
