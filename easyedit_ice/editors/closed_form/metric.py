"""What a change of a projection costs: tr(S ΔW A ΔWᵀ), with the keys of earlier edits in A.

A = C / c + σ I + w Σ k kᵀ / c, where C (in, in) is the second moment of general keys, c the mean of its diagonal, and k
are keys of edits that are in the model: each weighs as w of all general text. Its inverse is kept, and an edit's keys
are added to it by Woodbury's identity, edit after edit: recursive least squares, so that a stream protects what one
batch of the same keys would (OTE-SE, arXiv 2605.26670), at a cost that does not grow with the stream.

Shapes: in and out are a projection's widths, n an edit's keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import is_

import torch
from torch import Tensor, nn

from easyedit_ice.edit.history import edits_in
from easyedit_ice.editors.closed_form.sensitivity import cheapness
from easyedit_ice.errors import StatisticsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.edit_state import Keys, state_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.moments import Measuring, moments


@dataclass(frozen=True)
class Pricing:
    """How changes are priced.

    Attributes:
        measuring: what general text is.
        shrinkage: σ.
        kept_weight: w; 0 lets earlier edits go unprotected.
        output_shrinkage: ridge on S, in units of the mean of its diagonal over all projections; ``None`` for S = I.
        input_adjustment: whether C is measured; otherwise it is I.
        output_score: what S's gradients are of.
    """

    measuring: Measuring
    shrinkage: float
    kept_weight: float
    output_shrinkage: float | None
    input_adjustment: bool = True
    output_score: str = "drawn"


@dataclass(frozen=True)
class Metric:
    """The price of a projection's changes.

    Attributes:
        inward: A⁻¹, (in, in) in fp64.
        unit: c.
        outward: S⁻¹, (out, out) in fp32; ``None`` for I.
    """

    inward: Tensor
    unit: float
    outward: Tensor | None

    def keeping(self, keys: Tensor, weight: float) -> Metric:
        """The same with (n, in) further keys in A, each of a weight.

        Raises:
            StatisticsError: the weight is so high that the keys' energies beside general text are lost in rounding.
        """
        if not weight or not len(keys):
            return self
        rows = keys.double().cpu() / self.unit**0.5
        read = rows @ self.inward
        inner = read @ rows.T
        inner.diagonal().add_(1 / weight)
        solved, failed = torch.linalg.solve_ex(inner, read)
        if failed.item():
            raise StatisticsError(
                f"{len(keys)} keys with a weight of {weight:.3g} each cannot be weighed against general ones: lower "
                "neighbour_weight or kept_weight"
            )
        return replace(self, inward=self.inward - read.T @ solved)


@dataclass(frozen=True)
class _Folded:
    """What has been made of the edits of a model so far."""

    edits: tuple[Keys, ...]
    metrics: Mapping[str, Metric]

    def begins(self, edits: Sequence[Keys]) -> bool:
        """Whether these edits are those it was made of, and later ones."""
        return len(self.edits) <= len(edits) and all(map(is_, self.edits, edits))


def metrics(model: nn.Module, tok: Tokenizer, names: Sequence[str], pricing: Pricing) -> dict[str, Metric]:
    """The metric of each projection, with all edits that are in the model.

    Raises:
        StatisticsError: a stored moment is damaged, or A cannot be inverted.
        DataError: there is no such text, or not enough of it.
    """
    key, edits = (tuple(names), pricing), edits_in(model)
    derived = state_of(model).derived.setdefault("metrics", {})
    folded = derived.get(key)
    if folded is None or not folded.begins(edits):
        folded = _Folded((), general(model, tok, names, pricing))
    by_name = dict(folded.metrics)
    for edit in edits[len(folded.edits) :]:
        for name in by_name.keys() & edit.keys():
            by_name[name] = by_name[name].keeping(edit[name], pricing.kept_weight)
    derived[key] = _Folded(edits, by_name)
    return dict(by_name)


def general(model: nn.Module, tok: Tokenizer, names: Sequence[str], pricing: Pricing) -> dict[str, Metric]:
    """The metric of each projection by general text alone; found once, on the unedited model."""
    cache = baseline_of(model).tables["metrics"]
    key = (tuple(names), replace(pricing, kept_weight=0.0))
    if key not in cache:
        outward = _outward(model, tok, names, pricing)
        cache[key] = {
            name: _inward(name, moment, counted, pricing.shrinkage, outward.get(name))
            for name, (moment, counted) in _general_keys(model, tok, names, pricing).items()
        }
    by_name: dict[str, Metric] = cache[key]
    return by_name


def _general_keys(
    model: nn.Module, tok: Tokenizer, names: Sequence[str], pricing: Pricing
) -> dict[str, tuple[Tensor, int]]:
    """C of each projection, and the tokens it was measured on."""
    if pricing.input_adjustment:
        return moments(model, tok, names, pricing.measuring)
    anatomy = ModelAnatomy(model)
    return {name: (torch.eye(anatomy.projection(name).in_features, dtype=torch.float64), 0) for name in names}


def _inward(name: str, moment: Tensor, counted: int, shrinkage: float, outward: Tensor | None) -> Metric:
    unit = moment.diagonal().mean().item()
    matrix = moment.double() / unit
    matrix.diagonal().add_(shrinkage)
    lower, failed = torch.linalg.cholesky_ex(matrix)
    if failed.item() or not lower.isfinite().all():
        raise StatisticsError(
            f"the second moment of the {len(moment)} inputs of {name} cannot be inverted: it was measured on {counted} "
            "tokens. Raise dynamic_multiplier (10 is usual), or set mom2_shrinkage above 0"
        )
    return Metric(torch.cholesky_inverse(lower), unit, outward)


def _outward(model: nn.Module, tok: Tokenizer, names: Sequence[str], pricing: Pricing) -> dict[str, Tensor]:
    if pricing.output_shrinkage is None:
        return {}
    return cheapness(model, tok, names, pricing.measuring, pricing.output_score, pricing.output_shrinkage)
