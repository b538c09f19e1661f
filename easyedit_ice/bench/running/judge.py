"""The judge of a run, from its settings."""

from __future__ import annotations

from easyedit_ice.bench.config import EvaluationConfig
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.errors import RunConfigError
from easyedit_ice.evaluation.judging import EndpointJudge, Judge, ModelJudge
from easyedit_ice.evaluation.judging.endpoint import MOST_SECONDS

_OF_ENDPOINTS = ("judge_model", "judge_key")
"""Settings that mean something for an endpoint alone."""


def check_judge(config: EvaluationConfig) -> None:
    """Look at the settings of the judge.

    Raises:
        RunConfigError: they do not fit together.
    """
    idle = [f"evaluation.{name}" for name in _OF_ENDPOINTS if getattr(config, name) is not None]
    if idle and not _is_address(config.judge):
        who = "nobody judges" if config.judge is None else f"evaluation.judge is the model {config.judge!r}"
        raise RunConfigError(
            f"only an endpoint takes {' and '.join(idle)}, but {who}; give evaluation.judge an address such as "
            "http://localhost:8000/v1, or leave them out"
        )
    if config.judge is None:
        return
    if not config.judge:
        raise RunConfigError("evaluation.judge is ''; give a model or an endpoint's address, or leave it out")
    if not config.generate or not config.answers:
        lacking = "generate" if not config.generate else "answers"
        raise RunConfigError(
            f"evaluation.judge reads what the model writes, and its agreement with exact match is found in the kept "
            f"answers, but evaluation.{lacking} is false; set it to true, or leave the judge out"
        )
    if _is_address(config.judge) and not config.judge_model:
        raise RunConfigError(f"{config.judge} may serve several models; name one with evaluation.judge_model")
    if not 0 < config.judge_timeout <= MOST_SECONDS:
        raise RunConfigError(
            f"evaluation.judge_timeout is {config.judge_timeout}; it must be above 0 and at most {MOST_SECONDS} seconds"
        )


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
    if _is_address(config.judge):
        return EndpointJudge(config.judge, str(config.judge_model), config.judge_key, config.judge_timeout)
    return ModelJudge(*load_model(EditHyperParams(model_name=config.judge, device=device)), config.judge)


def _is_address(judge: str | None) -> bool:
    """Whether a judge is named by the address of an endpoint."""
    return judge is not None and judge.lower().startswith(("http://", "https://"))
