"""SVF (Sun et al. 2025, Transformer², arXiv 2501.06252): a weight changes by its singular values alone.

y = W x + U S^½ D S^½ Vᵀ x for W = U S Vᵀ, where D = 0 at the start. Its diagonal δ scales each singular value to
s (1 + δ): that is SVF. Elements beside the diagonal let singular directions move each other, as in SVFT (Lingam et al.
2024, arXiv 2405.19597); they stand in bands, or where the facts' gradient is greatest.

Shapes: out and in are the widths of a projection, r the number of its singular values, m of D's elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.edit.delta import SpectralDelta, spectral_change
from easyedit_ice.edit.hparams import setting
from easyedit_ice.editors.gradient.adapters.adapter import BoundSettings
from easyedit_ice.editors.gradient.adapters.hooked import BesideAdapter
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.model.activation_memory import FP32
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.precompute.decompose import METHODS, Spectrum
from easyedit_ice.precompute.weight_spectra import spectra

FORMS = ("diagonal", "banded", "top")


class SpectralAdapter(BesideAdapter):
    """D of each projection, in fp32 whatever the weight's type is; inputs go through the factors.

    V is not trained, and reads every input.

    Args:
        model: gets hooks on the projections.
        projections: where; all of this model.
        spectra: of their weights, by name.
        places: rows and columns (m,) of D's elements, by name.
        sum_normalised: rescale all singular values so that their sum stays, as Transformer² does.
    """

    protectable = False

    def __init__(
        self,
        model: nn.Module,
        projections: Sequence[Projection],
        *,
        spectra: Mapping[str, Spectrum],
        places: Mapping[str, tuple[Tensor, Tensor]],
        sum_normalised: bool,
    ) -> None:
        super().__init__(model, projections)
        self._sum_normalised = sum_normalised
        self._still = {name: _still(spectra[name], *places[name]) for name in (p.name for p in projections)}
        self._values = {name: nn.Parameter(delta.values.clone()) for name, delta in self._still.items()}

    def trained(self) -> dict[str, list[Tensor]]:
        """D's elements (m,) of each projection."""
        return {name: [values] for name, values in self._values.items()}

    def change(self, name: str, inputs: Tensor) -> Tensor:
        """U S^½ D S^½ Vᵀ x, through the factors."""
        return spectral_change(inputs, self._still[name], self._in_force(name))

    def deltas(self) -> dict[str, SpectralDelta]:
        """U S^½ D S^½ Vᵀ of each projection, whose elements are copies."""
        return {
            name: replace(delta, values=self._in_force(name).detach().clone()) for name, delta in self._still.items()
        }

    @torch.no_grad()
    def shrink(self, name: str, factor: float) -> None:
        """Multiply D."""
        self._values[name].mul_(factor)

    def report(self) -> dict[str, Any]:
        """The number of trained values, and the greatest of each projection."""
        greatest = {name: values.abs().max().item() for name, values in self._values.items()}
        return super().report() | {"greatest": greatest}

    def _in_force(self, name: str) -> Tensor:
        """D's elements after normalisation.

        With κ = Σs / Σs(1 + δ), every s (1 + δ) becomes κ s (1 + δ), and what is beside the diagonal κ times itself.
        """
        delta, values = self._still[name], self._values[name]
        if not self._sum_normalised:
            return values
        diagonal = (delta.rows == delta.columns).float()
        share = (delta.scales[delta.rows] * values * diagonal).sum() / delta.scales.sum()
        return (diagonal + values) / (1 + share) - diagonal


def _still(spectrum: Spectrum, rows: Tensor, columns: Tensor) -> SpectralDelta:
    """No change, with these places for D's elements."""
    device = spectrum.values.device
    zeros = torch.zeros(len(rows), device=device)
    return SpectralDelta(spectrum.left, spectrum.values, spectrum.right, rows.to(device), columns.to(device), zeros)


def places_of(spectrum: Spectrum, form: str, count: int, gradient: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Rows and columns of D's elements.

    Args:
        spectrum: of the weight.
        form: ``"diagonal"``; ``"banded"``: ``count`` diagonals on either side besides; ``"top"``: ``count`` elements
            beside the diagonal besides, where |S^½ Uᵀ G V S^½|, the gradient of D at 0, is greatest.
        count: see there.
        gradient: G (out, in), of the facts' loss, for ``"top"``.
    """
    diagonal = torch.arange(spectrum.rank)
    rows, columns = [diagonal], [diagonal]
    if form == "banded":
        for offset in range(1, min(count, spectrum.rank - 1) + 1):
            rows += [diagonal[offset:], diagonal[:-offset]]
            columns += [diagonal[:-offset], diagonal[offset:]]
    if form == "top":
        if gradient is None:
            raise ValueError("the form 'top' is chosen by the gradient of the facts' loss, and none was given")
        roots = spectrum.values.sqrt()
        pull = (roots[:, None] * (spectrum.left.T @ gradient @ spectrum.right) * roots).abs().cpu()
        pull.fill_diagonal_(-1.0)
        best = pull.flatten().topk(min(count, spectrum.rank * (spectrum.rank - 1))).indices
        rows.append(best // spectrum.rank)
        columns.append(best % spectrum.rank)
    return torch.cat(rows), torch.cat(columns)


@dataclass
class SpectralSettings(BoundSettings):
    """Of SVF."""

    svd: str = setting("exact", "how weights are decomposed, once", choices=METHODS)
    svd_rank: int | None = setting(
        None, "greatest singular values that are found and scaled; None for all, which svd: randomised may not", low=1
    )
    spectral_form: str = setting(
        "diagonal",
        "what may change: singular values alone; elements in bands beside them; or elements beside them where the "
        "facts' gradient is greatest",
        choices=FORMS,
    )
    off_diagonals: int = setting(
        1, "banded: diagonals on either side of the singular values; top: elements of each projection", low=1
    )
    sum_normalised: bool = setting(False, "keep the sum of singular values, as Transformer² does")

    kind = SpectralAdapter

    def check(self) -> None:
        """Refuse a randomised decomposition of no given rank."""
        if self.svd == "randomised" and self.svd_rank is None:
            raise HyperParamsError("svd is 'randomised', which needs svd_rank: set how many singular values to find")

    @property
    def needs_gradient(self) -> bool:
        """Elements lie where the gradient is greatest."""
        return self.spectral_form == "top"

    def prepare_adapter(self, model: nn.Module, projections: Sequence[Projection]) -> None:
        """Decompose the weights."""
        spectra(model, projections, self.svd, self.svd_rank)

    def build_adapter(
        self, model: nn.Module, projections: Sequence[Projection], *, steps: int, gradients: Mapping[str, Tensor]
    ) -> SpectralAdapter:
        """D of each projection, in the form asked for."""
        decomposed = spectra(model, projections, self.svd, self.svd_rank)
        places = {
            name: places_of(spectrum, self.spectral_form, self.off_diagonals, gradients.get(name))
            for name, spectrum in decomposed.items()
        }
        return SpectralAdapter(
            model, projections, spectra=decomposed, places=places, sum_normalised=self.sum_normalised
        )

    def trained_values(self, projection: Projection, steps: int = 0) -> int:
        """One for each singular value, and those beside the diagonal (arXiv 2405.19597, section 3)."""
        rank, count = self._rank(projection), self.off_diagonals
        match self.spectral_form:
            case "banded":
                count = min(count, rank - 1)
                return rank + count * (2 * rank - count - 1)
            case "top":
                return rank + min(count, rank * (rank - 1))
        return rank

    def held_bytes(self, projections: Sequence[Projection], trained: int) -> int:
        """U (out, r), V (in, r) and s."""
        return sum(FP32 * self._rank(p) * (p.in_features + p.out_features + 1) for p in projections)

    def bytes_per_token(self, projections: Sequence[Projection]) -> int:
        """What is read along singular directions, moved, and written."""
        return FP32 * sum(3 * self._rank(p) + p.out_features for p in projections)

    def update_bytes(self, projections: Sequence[Projection]) -> int:
        """D's elements, and their places as two whole numbers of 8 bytes."""
        return sum(5 * FP32 * self.trained_values(projection) for projection in projections)

    def _rank(self, projection: Projection) -> int:
        most = min(projection.in_features, projection.out_features)
        return most if self.svd_rank is None else min(self.svd_rank, most)
