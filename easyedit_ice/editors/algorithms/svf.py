"""SVF: edits that scale singular values (Transformer², Sun et al. 2025, arXiv 2501.06252).

W becomes U diag(s (1 + δ)) Vᵀ: one number for each singular direction, which makes it the smallest state an editor has.
Edits of one weight add up in δ, so that experts can be mixed (:mod:`easyedit_ice.experts`). What may change besides the
singular values is in ``spectral_form``; the way is that of every algorithm that trains. A number scales a direction for
every text alike, so that a fact takes longer steps and more of them than with other adapters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.edit.hparams import other_default, setting
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.editors.gradient.adapters import SpectralSettings
from easyedit_ice.editors.gradient.in_context import InContextSettings
from easyedit_ice.editors.gradient.objectives import ObjectiveSettings
from easyedit_ice.editors.gradient.reinforce import ReinforceSettings
from easyedit_ice.editors.gradient.solve import prepare, solve
from easyedit_ice.editors.gradient.training_memory import plan
from easyedit_ice.editors.gradient.training_settings import AdaptersByName, ObjectivesByName, TrainingHyperParams


@dataclass
class SVFHyperParams(ReinforceSettings, InContextSettings, SpectralSettings, TrainingHyperParams):
    """Settings of SVF."""

    objective: str = setting(
        "ft",
        "fine-tuning on the target; in-context editing besides; or reinforcement by the model's own answers instead",
        choices=("ft", "ice", "reinforce"),
    )
    num_steps: int = other_default(TrainingHyperParams, "num_steps", 200)
    step_drift: float = other_default(TrainingHyperParams, "step_drift", 3e-5)

    adapters: ClassVar[AdaptersByName] = {"svf": SpectralSettings}
    objectives: ClassVar[ObjectivesByName] = {
        "ft": ObjectiveSettings,
        "ice": InContextSettings,
        "reinforce": ReinforceSettings,
    }


ALGORITHM = Algorithm(
    name="SVF",
    hparams=SVFHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    summary="scales singular values: the smallest edits, which can be mixed as experts",
)
