"""Where steps may write: off the directions of outputs that general text's predictions depend on.

What an adapter adds to general text moves predictions by where it points: along directions of much output curvature by
much, along others hardly. So each step of what writes is turned by (I + S / α)⁻¹, where S = E[g gᵀ] is the second
moment of the gradients by what the projection writes (:mod:`easyedit_ice.precompute.output_moments`), in units of the
mean of its diagonal; its length is kept, so that a learning rate means what it did. With what A does not read, an edit
then spares what general text both reads and listens to, as CrispEdit (arXiv 2602.15823) does by gradients of whole
weights.

Shapes: out is the width of a projection's output, k the number of directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from easyedit_ice.edit.hparams import Section, setting
from easyedit_ice.editors.gradient.protection.projector import leading, softened
from easyedit_ice.model.activation_memory import FP32
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.moments import Measuring
from easyedit_ice.precompute.output_moments import SCORES, sensitivities


@dataclass(unsafe_hash=True)
class WritingSettings(Section):
    """How directions of outputs are protected from being written; what is made by equal settings is made once."""

    output_softness: float | None = setting(
        None,
        "soft: of what general text's predictions depend on, energy in units of the mean direction of one along which "
        "a step writes half as much; None to let steps write anywhere",
        above=0,
    )
    output_energy: float | None = setting(
        None,
        "hard: share of that energy along whose leading directions, half of all at most, nothing is written; None for "
        "none",
        above=0,
        high=1,
    )
    output_score: str = setting(
        "odds",
        "what dependence is measured by: 'drawn', the likelihood of a token that the model may write next, or 'odds', "
        "the log-odds of its likeliest, which counts what it is sure of as well",
        choices=SCORES,
    )

    def turned_bytes(self, projections: Sequence[Projection], hard: bool) -> int:
        """F (out, k) of each projection in fp32."""
        share = 2 if hard else 1
        return sum(FP32 * p.out_features**2 // share for p in projections) if self.turns(hard) else 0

    def factor(self, moment: Tensor, hard: bool) -> Tensor | None:
        """F (out, k) of a projection, from its S (out, out); ``None`` where anything may be written."""
        if hard:
            return None if self.output_energy is None else leading(moment, self.output_energy, len(moment) // 2)
        return None if self.output_softness is None else softened(moment, self.output_softness, len(moment))

    def turns(self, hard: bool) -> bool:
        """Whether anything is protected from being written."""
        return (self.output_energy if hard else self.output_softness) is not None


def unwritten(
    model: nn.Module,
    tok: Tokenizer,
    projections: Sequence[Projection],
    settings: WritingSettings,
    measuring: Measuring,
    hard: bool,
) -> dict[str, Tensor]:
    """F (out, k) of each projection, by name, on its device; none where anything may be written.

    Found once, on the unedited model.

    Args:
        model: that is edited.
        tok: its tokenizer.
        projections: of the model.
        settings: how directions are protected.
        measuring: what general text is.
        hard: whether they are protected wholly.

    Raises:
        DamagedFileError: a stored S is damaged.
        DataError: there is no such general text, or not enough of it.
    """
    if not settings.turns(hard):
        return {}
    cache, names = baseline_of(model).tables["unwritten"], [projection.name for projection in projections]
    missing = [name for name in names if (name, settings, measuring, hard) not in cache]
    if missing:
        for name, moment in sensitivities(model, tok, missing, measuring, settings.output_score).items():
            cache[name, settings, measuring, hard] = settings.factor(moment, hard)
    return {
        projection.name: cache[projection.name, settings, measuring, hard].to(projection.module.weight.device)
        for projection in projections
    }
