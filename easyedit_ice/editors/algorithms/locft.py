"""LocFT-BF: fine-tuning of one late MLP output projection, breadth-first (arXiv 2509.22072).

All weights of that projection are trained on the targets, in large mini-batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.edit.hparams import other_default
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.editors.gradient.adapters import DenseSettings
from easyedit_ice.editors.gradient.protection.subspaces import ProtectionSettings
from easyedit_ice.editors.gradient.solve import prepare, second_moments, solve
from easyedit_ice.editors.gradient.training_memory import plan
from easyedit_ice.editors.gradient.training_settings import AdaptersByName, TrainingHyperParams

DEPTH = 0.7
"""Where the projection is, of the way through the model: block 22 of 32, as the paper's search has it for Llama 3."""


@dataclass
class LocFTHyperParams(ProtectionSettings, DenseSettings, TrainingHyperParams):
    """Settings of LocFT-BF."""

    depth: list[float] = other_default(TrainingHyperParams, "depth", [DEPTH, DEPTH])
    mini_batch_size: int = other_default(TrainingHyperParams, "mini_batch_size", 100)

    adapters: ClassVar[AdaptersByName] = {"dense": DenseSettings}


ALGORITHM = Algorithm(
    name="LocFT-BF",
    hparams=LocFTHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    second_moments=second_moments,
    summary="fine-tuning of one late projection, breadth-first",
)
