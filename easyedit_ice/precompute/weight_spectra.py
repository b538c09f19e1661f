"""Decompositions of a model's projections: from memory, from disk, or made, one weight after the other."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch import nn

from easyedit_ice.model.anatomy import Projection
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.precompute.decompose import Spectrum, decompose
from easyedit_ice.precompute.spectrum_store import Decomposed, load_spectrum, save_spectrum
from easyedit_ice.runtime.progress import steps

logger = logging.getLogger(__name__)


def spectra(
    model: nn.Module, projections: Sequence[Projection], method: str = "exact", rank: int | None = None
) -> dict[str, Spectrum]:
    """Decompositions of weights as they were when the model was first seen, by name, each on its weight's device.

    Changes of the singular values of one and the same weight add up; so a stream of edits goes on with those of the
    unedited weights.

    Args:
        model: before any edit, if it was not seen before.
        projections: of it.
        method: as for :func:`decompose`.
        rank: as for :func:`decompose`.

    Raises:
        DamagedFileError: a stored decomposition is damaged.
        SpectrumError: a weight has elements that are no numbers.
    """
    return {name: spectrum for name, (_, spectrum) in _all(model, projections, method, rank).items()}


def decomposed(
    model: nn.Module, projections: Sequence[Projection], method: str = "exact", rank: int | None = None
) -> dict[str, Decomposed]:
    """What :func:`spectra` are of, by name: the hashes of the weights as they were when the model was first seen."""
    return {name: of for name, (of, _) in _all(model, projections, method, rank).items()}


def _all(
    model: nn.Module, projections: Sequence[Projection], method: str, rank: int | None
) -> dict[str, tuple[Decomposed, Spectrum]]:
    cache = baseline_of(model).tables["spectra"]
    missing = [projection for projection in projections if (projection.name, method, rank) not in cache]
    for step in steps(logger, "decomposing", len(missing), "weight"):
        cache[missing[step].name, method, rank] = _load_or_decompose(missing[step], method, rank)
    return {projection.name: cache[projection.name, method, rank] for projection in projections}


def _load_or_decompose(projection: Projection, method: str, rank: int | None) -> tuple[Decomposed, Spectrum]:
    weight = projection.matrix()
    of = Decomposed.of(weight, method, rank)
    stored = load_spectrum(of)
    if stored is not None:
        device = weight.device
        return of, Spectrum(stored.left.to(device), stored.values.to(device), stored.right.to(device), stored.error)
    spectrum = decompose(weight, method, rank)
    logger.info("decomposed %s, relative error %.1e", projection.name, spectrum.error)
    try:
        save_spectrum(of, projection.name, spectrum)
    except OSError as error:
        logger.warning("decompositions cannot be kept for the next time: %s", error)
    return of, spectrum
