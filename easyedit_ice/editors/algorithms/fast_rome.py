"""FastROME: rank-one editing, with second moments of few tokens.

ROME: Meng et al. 2022, arXiv 2202.05262. The key is the same mean over contexts wherever it stands in the update, as in
R-ROME (Gupta et al. 2024, arXiv 2403.07175), without which a stream of edits collapses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from easyedit_ice.edit.hparams import setting
from easyedit_ice.edit.registry import Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.algorithms.fast_memit import FastMEMITHyperParams, prepare, solve_closed_form
from easyedit_ice.editors.closed_form.closed_form_memory import plan_search
from easyedit_ice.editors.closed_form.solver_settings import second_moments
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.tokenizer import Tokenizer


@dataclass
class FastROMEHyperParams(FastMEMITHyperParams):
    """Settings of FastROME, with EasyEdit's names."""

    layers: list[int] | None = setting(None, "the block to write to; None for one at a quarter of the depth")
    clamp_norm_factor: float | None = setting(
        None, "bound on a value's change, in norms of what the projection wrote; None for four in each sweep", above=0
    )

    def check(self) -> None:
        """Refuse several blocks."""
        if self.layers is not None and len(self.layers) != 1:
            raise HyperParamsError(f"layers is {self.layers}; FastROME writes to one block: name one, or use FastMEMIT")

    def usual_layers(self, count: int) -> list[int]:
        """The one at a quarter of the depth."""
        return [self.usual_layer(count)]


def solve(
    model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest], hparams: FastROMEHyperParams
) -> WeightUpdate:
    """Write one fact.

    Raises:
        AnatomyError: the model has no such layer or projection.
        StatisticsError: the second moment is damaged, or cannot be inverted.
        DataError: there is no such text for it, or not enough of it.
    """
    return solve_closed_form(model, tok, requests, hparams, alpha=0.0, scale="projection")


ALGORITHM = Algorithm(
    name="FastROME",
    hparams=FastROMEHyperParams,
    solve=solve,
    prepare=prepare,
    plan=plan_search,
    second_moments=second_moments,
    batchable=False,
    needs_subject=True,
    summary="rank-one editing of one fact, with second moments of few tokens",
)
