"""SVF experts: trained on groups of facts, saved by their elements alone, mixed, and chosen for each question."""

from easyedit_ice.experts.alpha_search import Example, search_alphas
from easyedit_ice.experts.answering import Answering, composed
from easyedit_ice.experts.cem import Found, cross_entropy_method
from easyedit_ice.experts.classifier import train_classifier
from easyedit_ice.experts.dispatch import Dispatcher, FixedAlphas, LabelDispatcher
from easyedit_ice.experts.dispatch_prompt import Wording
from easyedit_ice.experts.expert import Expert, Fact
from easyedit_ice.experts.grouping import grouped
from easyedit_ice.experts.library import Library
from easyedit_ice.experts.mixing import mixed, modules_of
from easyedit_ice.experts.train_experts import train_experts

__all__ = [
    "Answering",
    "Dispatcher",
    "Example",
    "Expert",
    "Fact",
    "FixedAlphas",
    "Found",
    "LabelDispatcher",
    "Library",
    "Wording",
    "composed",
    "cross_entropy_method",
    "grouped",
    "mixed",
    "modules_of",
    "search_alphas",
    "train_classifier",
    "train_experts",
]
