"""DoRA: fine-tuning of directions and magnitudes apart, breadth-first.

The parametrisation: :mod:`easyedit_ice.editors.gradient.adapters.dora` (arXiv 2402.09353).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.editors.gradient.adapters import DecomposedSettings
from easyedit_ice.editors.gradient.solve import prepare, solve
from easyedit_ice.editors.gradient.training_memory import plan
from easyedit_ice.editors.gradient.training_settings import AdaptersByName, TrainingHyperParams


@dataclass
class DoraHyperParams(DecomposedSettings, TrainingHyperParams):
    """Settings of DoRA."""

    adapters: ClassVar[AdaptersByName] = {"dora": DecomposedSettings}


ALGORITHM = Algorithm(
    name="DoRA",
    hparams=DoraHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    summary="fine-tuning of directions and magnitudes apart",
)
