"""DoRA: fine-tuning of directions and magnitudes apart, breadth-first.

The parametrisation: :mod:`easyedit_ice.training.adapters.dora` (arXiv 2402.09353).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.registry import Algorithm
from easyedit_ice.training.adapters import DecomposedSettings
from easyedit_ice.training.footprint import plan
from easyedit_ice.training.settings import TrainingHyperParams
from easyedit_ice.training.solve import prepare, solve


@dataclass
class DoraHyperParams(DecomposedSettings, TrainingHyperParams):
    """Settings of DoRA."""

    adapters: ClassVar = {"dora": DecomposedSettings}


ALGORITHM = Algorithm(
    name="DoRA",
    hparams=DoraHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    summary="fine-tuning of directions and magnitudes apart",
)
