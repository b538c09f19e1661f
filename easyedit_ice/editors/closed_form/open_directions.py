"""Directions that an update may read and write, where these are not all.

*Null space of general keys* (AlphaEdit, Fang et al. 2025, arXiv 2410.02355): nothing is read of the eigenvectors of C
whose eigenvalue is not small. *Leading directions of the weight* (REVIVE, arXiv 2601.11042): of W = U diag(s) Vᵀ the
leading columns of V are not read, and those of U not written.

What is not read costs without limit in the solve's metric, so that A⁻¹ becomes B (Bᵀ A B)⁻¹ Bᵀ for a basis B of the
rest; what is not written is taken out of the residuals. Both are the same for all edits of a model, and a stream still
ends as its batch.

Shapes: in and out are a projection's widths, r directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.edit.sections import Section, setting
from easyedit_ice.errors import AnatomyError, StatisticsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.precompute.decompose import Spectrum
from easyedit_ice.precompute.factors import Factor
from easyedit_ice.precompute.moments import Measuring, moments
from easyedit_ice.precompute.weight_spectra import spectra


@dataclass
class DirectionSettings(Section):
    """Which directions an update may read and write."""

    null_space: float | None = setting(
        None,
        "AlphaEdit's null space: read only the directions in which general keys' second moment is below this, in units "
        "of its mean; None to read all",
        above=0,
    )
    spared_energy: float = setting(
        0.0,
        "REVIVE: neither read nor write the leading singular directions of the unedited weight that hold this share of "
        "its squared norm; 0 for none",
        low=0,
        high=0.99,
    )


@dataclass(frozen=True)
class Open:
    """What an update of a projection may read and write.

    Attributes:
        factor: of A, for what may be read.
        unwritten: orthonormal columns (out, r) that are not written; ``None`` for none.
    """

    factor: Factor
    unwritten: Tensor | None = None

    def writable(self, residuals: Tensor) -> Tensor:
        """Residuals (n, out) without what is not written."""
        if self.unwritten is None:
            return residuals
        return residuals - (residuals @ self.unwritten) @ self.unwritten.T


def opened(
    model: nn.Module, tok: Tokenizer, factors: Mapping[str, Factor], measuring: Measuring, settings: DirectionSettings
) -> dict[str, Open]:
    """What may be read and written by each projection; found once, on the unedited model.

    Args:
        model: before any edit, if it was not seen before.
        tok: its tokenizer.
        factors: of A by path of the projection.
        measuring: what C is measured on.
        settings: which directions.

    Raises:
        AnatomyError: directions are asked for of fused experts.
        StatisticsError: no direction is left.
    """
    if settings.null_space is None and not settings.spared_energy:
        return {name: Open(factor) for name, factor in factors.items()}
    cache = baseline_of(model).tables["open"]
    keys = {name: (name, measuring, settings.null_space, settings.spared_energy) for name in factors}
    ready = {name: cache[keys[name]] for name in factors if keys[name] in cache}
    missing = [name for name, factor in factors.items() if name not in ready or ready[name][0] is not factor]
    for name, closed, unwritten in _closed(model, tok, missing, measuring, settings):
        factor = factors[name]
        cache[keys[name]] = factor, Open(factor.within(_complement(name, closed)), unwritten)
    return {name: cache[keys[name]][1] for name in factors}


def _closed(
    model: nn.Module, tok: Tokenizer, names: Sequence[str], measuring: Measuring, settings: DirectionSettings
) -> list[tuple[str, Tensor, Tensor | None]]:
    """By path what is not read, (in, r) in fp64, and what is not written."""
    projections = [ModelAnatomy(model).projection(name) for name in names]
    for projection in projections:
        if projection.experts > 1:
            raise AnatomyError(
                f"{projection.name} holds {projection.experts} experts in one weight, and null_space and spared_energy "
                "are of one matrix each; leave them out"
            )
    read: dict[str, list[Tensor]] = {name: [] for name in names}
    unwritten: dict[str, Tensor] = {}
    if settings.null_space is not None:
        for name, (moment, _) in moments(model, tok, names, measuring).items():
            energies, directions = torch.linalg.eigh(moment.double())
            read[name].append(directions[:, energies >= settings.null_space * energies.mean()])
    if settings.spared_energy:
        for name, spectrum in spectra(model, projections).items():
            count = _leading(spectrum, settings.spared_energy)
            read[name].append(spectrum.right[:, :count].double().cpu())
            unwritten[name] = spectrum.left[:, :count].float().cpu()
    return [(name, torch.cat(read[name], dim=1), unwritten.get(name)) for name in names]


def _leading(spectrum: Spectrum, share: float) -> int:
    """How many of the greatest singular values hold a share of the squared norm."""
    energies = spectrum.values.double().square().cumsum(0)
    return int((energies < share * energies[-1]).sum()) + 1


def _complement(name: str, closed: Tensor) -> Tensor:
    """An orthonormal basis of all that is at right angles to some directions, (in, r) in fp64."""
    left, values, _ = torch.linalg.svd(closed, full_matrices=True)
    rank = int((values > len(closed) * torch.finfo(values.dtype).eps * values.max()).sum()) if len(values) else 0
    if rank == len(closed):
        raise StatisticsError(
            f"no direction of the {len(closed)} inputs of {name} is left to write facts with; raise null_space, or "
            "lower spared_energy"
        )
    basis: Tensor = left[:, rank:].contiguous()
    return basis
