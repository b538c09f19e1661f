"""GoRA: gradient-orthogonalised low-rank adapters, for long streams of edits.

What an adapter adds is kept off the directions in which general text, earlier edits and the facts' neighbours lie
(:mod:`easyedit_ice.editors.gradient.protection.projector`,
:mod:`easyedit_ice.editors.gradient.protection.subspaces`), and starts along the facts' own keys.
It is another method than the published GoRA (He et al. 2025, arXiv 2502.12171), whose ranks and start may be added
(``rank_allocation``, ``init``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from easyedit_ice.edit.hparams import other_default
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.editors.gradient.adapters import LowRankSettings
from easyedit_ice.editors.gradient.protection.subspaces import ProtectionSettings
from easyedit_ice.editors.gradient.solve import prepare, second_moments, solve
from easyedit_ice.editors.gradient.training_memory import plan
from easyedit_ice.editors.gradient.training_settings import AdaptersByName, TrainingHyperParams


@dataclass
class GoRAHyperParams(ProtectionSettings, LowRankSettings, TrainingHyperParams):
    """Settings of GoRA."""

    protection: str = other_default(ProtectionSettings, "protection", "soft")
    init: str = other_default(LowRankSettings, "init", "keys")
    neighbour_softness: float | None = other_default(ProtectionSettings, "neighbour_softness", 0.1)

    adapters: ClassVar[AdaptersByName] = {"lora": LowRankSettings}


ALGORITHM = Algorithm(
    name="GoRA",
    hparams=GoRAHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan,
    second_moments=second_moments,
    summary="low-rank adapters that leave general text and earlier edits alone, for long streams",
)
