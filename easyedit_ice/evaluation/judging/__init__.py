"""Another model that reads question, answer and gold, and says whether the answer is right (docs/judge.md)."""

from easyedit_ice.evaluation.judging.agreement import Agreement, agreement
from easyedit_ice.evaluation.judging.case import Case, Judge, text_for
from easyedit_ice.evaluation.judging.endpoint import EndpointJudge
from easyedit_ice.evaluation.judging.model_judge import ModelJudge

__all__ = ["Agreement", "Case", "EndpointJudge", "Judge", "ModelJudge", "agreement", "text_for"]
