"""Singular value decompositions of weights: made once, kept on disk."""

from easyedit_ice.spectra.decompose import METHODS, Spectrum, decompose
from easyedit_ice.spectra.found import decomposed, spectra

__all__ = ["METHODS", "Spectrum", "decompose", "decomposed", "spectra"]
