"""LocFT-BF: fine-tuning of one late MLP output projection, breadth-first (arXiv 2509.22072).

All weights of that projection are trained on the targets, in large mini-batches.
"""

from __future__ import annotations

from dataclasses import dataclass

from easyedit_ice.hparams import other_default, setting
from easyedit_ice.training.settings import TrainingHyperParams

DEPTH = 0.7
"""Where the projection is, of the way through the model: block 22 of 32, as the paper's search has it for Llama 3."""


@dataclass
class LocFTHyperParams(TrainingHyperParams):
    """Settings of LocFT-BF."""

    alg_name: str = setting("LocFT-BF", "name of the algorithm in the table")
    adapter: str = other_default(TrainingHyperParams, "adapter", "dense")
    depth: list[float] = other_default(TrainingHyperParams, "depth", [DEPTH, DEPTH])
    mini_batch_size: int = other_default(TrainingHyperParams, "mini_batch_size", 100)
