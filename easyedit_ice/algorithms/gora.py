"""GoRA: gradient-orthogonalised low-rank adapters, for long streams of edits.

What an adapter adds is kept off the directions in which general text, earlier edits and the facts' neighbours lie
(:mod:`easyedit_ice.training.protection`, :mod:`easyedit_ice.training.subspaces`), and starts along the facts' own keys.
It is another method than the published GoRA (He et al. 2025, arXiv 2502.12171), whose ranks and start may be added
(``rank_allocation``, ``init``).
"""

from __future__ import annotations

from dataclasses import dataclass

from easyedit_ice.hparams import other_default, setting
from easyedit_ice.training.settings import TrainingHyperParams


@dataclass
class GoRAHyperParams(TrainingHyperParams):
    """Settings of GoRA."""

    alg_name: str = setting("GoRA", "name of the algorithm in the table")
    protection: str = other_default(TrainingHyperParams, "protection", "soft")
    init: str = other_default(TrainingHyperParams, "init", "keys")
    neighbour_softness: float | None = other_default(TrainingHyperParams, "neighbour_softness", 0.1)
