"""What is trained: low-rank, spectral and dense changes of projections, each with its settings."""

from easyedit_ice.editors.gradient.adapters.adalora import AdaptiveAdapter, AdaptiveSettings, Budget
from easyedit_ice.editors.gradient.adapters.adapter import Adapter, AdapterSettings, BoundSettings
from easyedit_ice.editors.gradient.adapters.dense import DenseAdapter, DenseSettings
from easyedit_ice.editors.gradient.adapters.dora import DecomposedAdapter, DecomposedSettings
from easyedit_ice.editors.gradient.adapters.lora import FactorSettings, LowRankAdapter, LowRankSettings
from easyedit_ice.editors.gradient.adapters.svf import FORMS, SpectralAdapter, SpectralSettings, places_of

__all__ = [
    "FORMS",
    "Adapter",
    "AdapterSettings",
    "AdaptiveAdapter",
    "AdaptiveSettings",
    "BoundSettings",
    "Budget",
    "DecomposedAdapter",
    "DecomposedSettings",
    "DenseAdapter",
    "DenseSettings",
    "FactorSettings",
    "LowRankAdapter",
    "LowRankSettings",
    "SpectralAdapter",
    "SpectralSettings",
    "places_of",
]
