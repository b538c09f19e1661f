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

from easyedit_ice.hparams import other_default, setting
from easyedit_ice.training.settings import TrainingHyperParams


@dataclass
class IceLoraHyperParams(TrainingHyperParams):
    """Settings of ICE-LoRA."""

    alg_name: str = setting("ICE-LoRA", "name of the algorithm in the table")
    objective: str = other_default(TrainingHyperParams, "objective", "ice")
    protection: str = other_default(TrainingHyperParams, "protection", "soft")
    init: str = other_default(TrainingHyperParams, "init", "keys")
    locality_weight: float = other_default(TrainingHyperParams, "locality_weight", 1.0)
    neighbour_weight: float = other_default(TrainingHyperParams, "neighbour_weight", 1.0)
