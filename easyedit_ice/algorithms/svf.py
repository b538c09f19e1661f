"""SVF: edits that scale singular values (Transformer², Sun et al. 2025, arXiv 2501.06252).

W becomes U diag(s (1 + δ)) Vᵀ: one number for each singular direction, which makes it the smallest state an editor has.
Edits of one weight add up in δ, so that experts can be mixed (:mod:`easyedit_ice.experts`). What may change besides the
singular values is in ``spectral_form``; the way is that of every algorithm that trains. A number scales a direction for
every text alike, so that a fact takes longer steps and more of them than with other adapters.
"""

from __future__ import annotations

from dataclasses import dataclass

from easyedit_ice.hparams import other_default, setting
from easyedit_ice.training.settings import TrainingHyperParams


@dataclass
class SVFHyperParams(TrainingHyperParams):
    """Settings of SVF."""

    alg_name: str = setting("SVF", "name of the algorithm in the table")
    adapter: str = other_default(TrainingHyperParams, "adapter", "svf")
    num_steps: int = other_default(TrainingHyperParams, "num_steps", 200)
    step_drift: float = other_default(TrainingHyperParams, "step_drift", 3e-5)
