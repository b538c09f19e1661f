"""How well facts were edited: teacher-forced and generated, on every probe, with intervals."""

from easyedit_ice.evaluation.observe import Observation, observe
from easyedit_ice.evaluation.questions import Question, questions
from easyedit_ice.evaluation.scores import FactScore, edit_scores
from easyedit_ice.evaluation.summary import Interval, summarize

__all__ = ["FactScore", "Interval", "Observation", "Question", "edit_scores", "observe", "questions", "summarize"]
