"""What is trained: low-rank and dense changes of projections behind one interface."""

from easyedit_ice.training.adapters.adalora import AdaptiveAdapter, Budget
from easyedit_ice.training.adapters.base import Adapter
from easyedit_ice.training.adapters.dense import DenseAdapter
from easyedit_ice.training.adapters.dora import DecomposedAdapter
from easyedit_ice.training.adapters.lora import LowRankAdapter

__all__ = ["Adapter", "AdaptiveAdapter", "Budget", "DecomposedAdapter", "DenseAdapter", "LowRankAdapter"]
