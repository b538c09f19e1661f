"""How well facts were edited: EasyEdit's numbers and what they leave out, in batches, with intervals."""

from easyedit_ice.evaluation.drift import Drift, DriftPoint
from easyedit_ice.evaluation.intervals import Interval, summarize
from easyedit_ice.evaluation.observation import Context, Observation, observe
from easyedit_ice.evaluation.questions import Question, questions
from easyedit_ice.evaluation.scores import FactScore, edit_scores, is_right, leads_right

__all__ = [
    "Context",
    "Drift",
    "DriftPoint",
    "FactScore",
    "Interval",
    "Observation",
    "Question",
    "edit_scores",
    "is_right",
    "leads_right",
    "observe",
    "questions",
    "summarize",
]
