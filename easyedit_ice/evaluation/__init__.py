"""How well facts were edited: EasyEdit's numbers and what they leave out, in batches, with intervals."""

from easyedit_ice.evaluation.drift import Drift, DriftPoint
from easyedit_ice.evaluation.observe import Context, Observation, observe
from easyedit_ice.evaluation.questions import Question, questions
from easyedit_ice.evaluation.scores import FactScore, edit_scores, is_right, leads_right
from easyedit_ice.evaluation.summary import Interval, summarize

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
