"""The judge of a run, from its settings."""

from __future__ import annotations

from easyedit_ice.bench.config import EvaluationConfig
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import RunConfigError
from easyedit_ice.evaluation.judging import EndpointJudge, Judge, ModelJudge

ADDRESSES = ("http://", "https://")


def check_judge(config: EvaluationConfig) -> None:
    """Look at the settings of the judge.

    Raises:
        RunConfigError: they do not fit together.
    """
    if config.judge is None:
        return
    if not config.generate or not config.answers:
        lacking = "generate" if not config.generate else "answers"
        raise RunConfigError(
            f"evaluation.judge reads what the model writes, and its agreement with exact match is found in the kept "
            f"answers, but evaluation.{lacking} is false; set it to true, or leave the judge out"
        )
    if config.judge.startswith(ADDRESSES) and config.judge_model is None:
        raise RunConfigError(f"{config.judge} may serve several models; name one with evaluation.judge_model")
    if config.judge_timeout <= 0:
        raise RunConfigError(f"evaluation.judge_timeout is {config.judge_timeout}; it must be above 0")


def judge_of(config: EvaluationConfig, device: str | None) -> Judge | None:
    """The judge that the settings name; none if they name none.

    Args:
        config: checked by :func:`check_judge`.
        device: where a judge that is loaded lies.

    Raises:
        JudgeError: the endpoint cannot be asked.
        LoadingError: the model cannot be loaded.
    """
    if config.judge is None:
        return None
    if config.judge.startswith(ADDRESSES):
        return EndpointJudge(config.judge, str(config.judge_model), config.judge_key, config.judge_timeout)
    return ModelJudge(*load_model(EditHyperParams(model_name=config.judge, device=device)), config.judge)
