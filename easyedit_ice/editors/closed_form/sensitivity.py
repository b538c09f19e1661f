"""What a change of what a projection writes costs: S⁻¹, of :mod:`easyedit_ice.precompute.output_moments`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.edit.sections import Section, setting
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.moments import Measuring
from easyedit_ice.precompute.output_moments import SCORES, sensitivities


@dataclass
class OutputSettings(Section):
    """How what is written is priced."""

    output_adjustment: bool = setting(
        True, "weigh what is written by how much general text's predictions depend on it; otherwise all alike"
    )
    output_score: str = setting(
        "drawn",
        "what that is measured by: 'drawn', the likelihood of a token that the model may write next, or 'odds', the "
        "log-odds of its likeliest, which counts what it is sure of as well",
        choices=SCORES,
    )
    output_shrinkage: float = setting(
        0.01, "ridge on the second moment of gradients, in units of its mean diagonal over all projections", above=0
    )


def cheapness(
    model: nn.Module, tok: Tokenizer, names: Sequence[str], measuring: Measuring, score: str, shrinkage: float
) -> dict[str, Tensor]:
    """S⁻¹ (out, out) of some projections in fp32, all in one unit, since it says as well which of them is listened to.

    Found once for a model, before any edit.

    Args:
        model: as :func:`sensitivities` has it.
        tok: its tokenizer.
        names: paths of the projections.
        measuring: the text.
        score: what g is the gradient of.
        shrinkage: ridge on S, in units of the mean of its diagonal over all of these projections.

    Raises:
        StatisticsError: a stored S is damaged.
        DataError: there is no such text.
    """
    cache, key = baseline_of(model).tables["cheapness"], (tuple(names), measuring, score, shrinkage)
    if key not in cache:
        moments = sensitivities(model, tok, names, measuring, score)
        unit = sum(moment.diagonal().mean() for moment in moments.values()) / len(moments)
        ridges = {name: torch.eye(len(moment), dtype=moment.dtype) * shrinkage for name, moment in moments.items()}
        cache[key] = {name: torch.linalg.inv(moments[name] / unit + ridge).float() for name, ridge in ridges.items()}
    by_name: dict[str, Tensor] = cache[key]
    return by_name
