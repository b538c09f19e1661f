"""What is trained: low-rank, spectral and dense changes of projections behind one interface."""

from easyedit_ice.training.adapters.adalora import AdaptiveAdapter, Budget
from easyedit_ice.training.adapters.base import Adapter
from easyedit_ice.training.adapters.dense import DenseAdapter
from easyedit_ice.training.adapters.dora import DecomposedAdapter
from easyedit_ice.training.adapters.lora import LowRankAdapter
from easyedit_ice.training.adapters.spectral import FORMS, SpectralAdapter, places_of

__all__ = [
    "FORMS",
    "Adapter",
    "AdaptiveAdapter",
    "Budget",
    "DecomposedAdapter",
    "DenseAdapter",
    "LowRankAdapter",
    "SpectralAdapter",
    "places_of",
]
