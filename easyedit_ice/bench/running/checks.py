"""Settings of a run that make no sense, refused by name before anything is written."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import DictConfig

from easyedit_ice.bench.config import EvaluationConfig, overrides_of
from easyedit_ice.bench.running.judge import check_judge
from easyedit_ice.bench.running.shards import Process
from easyedit_ice.bench.telemetry.logs import LEVELS
from easyedit_ice.errors import RunConfigError, did_you_mean
from easyedit_ice.evaluation.afterlife import names_of
from easyedit_ice.evaluation.probes import chosen

MODES = ("single", "batch", "sequential")
SCORERS = ("batched", "easyedit")
ELSEWHERE = {
    "model_name": "model.name",
    "device": "model.device",
    "dtype": "model.dtype",
    "chat": "model.chat",
    "seed": "seed",
}
"""Settings of methods that a run has for all of them."""
MOST_THREADS = max(64, 2 * (os.cpu_count() or 1))
"""With far more threads than processors a process ends without a word."""
SEEDS = 2**32 - 1
"""The greatest seed that NumPy takes."""
MOST_SCALE = 1000
"""Greatest factor of an adapter that is merged."""
BOUNDS: dict[str, tuple[int, int | None]] = {
    "data.start": (0, None),
    "data.size": (1, None),
    "data.untouched": (0, None),
    "data.seed": (0, SEEDS),
    "data.order": (0, SEEDS),
    "mode.batch_size": (1, None),
    "mode.retain_every": (0, None),
    "mode.checkpoint_every": (1, None),
    "evaluation.max_length": (2, None),
    "evaluation.max_new_tokens": (1, None),
    "evaluation.drift_texts": (0, None),
    "evaluation.known_facts": (0, None),
    "evaluation.perplexity_tokens": (2, None),
    "evaluation.abilities_limit": (1, None),
    "evaluation.abilities_batch": (1, None),
    "evaluation.afterlife_steps": (1, None),
    "evaluation.afterlife_rank": (1, 4096),
    "evaluation.followed_edits": (1, None),
    "seed": (0, SEEDS),
    "threads": (1, MOST_THREADS),
}
"""Least and greatest value of each number; one that is not set is in bounds."""


def check(config: DictConfig) -> None:
    """Look at each setting, and at those that must fit each other.

    Raises:
        RunConfigError: one is unknown, out of bounds, or does not fit the others.
    """
    mode, evaluation = config.mode, config.evaluation
    for name, value, choices in (
        ("mode.name", mode.name, MODES),
        ("evaluation.scorer", evaluation.scorer, SCORERS),
        ("verbosity", config.verbosity, tuple(LEVELS)),
    ):
        if value not in choices:
            raise RunConfigError(
                f"{name} is {value!r}; expected one of {', '.join(choices)}.{did_you_mean(value, choices)}"
            )
    chosen(evaluation.probes or ())
    _check_afterlife(evaluation)
    check_judge(evaluation)
    for name, (low, high) in BOUNDS.items():
        _check_bounds(name, _at(config, name), low, high)
    if mode.name == "single" and mode.batch_size != 1:
        raise RunConfigError(f"mode.batch_size is {mode.batch_size} in mode single; choose mode=batch, or 1")
    if config.save and mode.name != "sequential":
        raise RunConfigError(
            f"save keeps the model after a stream, and edits of mode {mode.name} do not stay; choose mode=sequential "
            "(with mode.batch_size for several facts at a time), or leave save out"
        )
    if mode.name == "sequential" and Process.current().count > 1:
        raise RunConfigError(
            f"a stream of edits cannot be shared among {Process.current().count} processes; start one, or choose "
            "mode=single or mode=batch"
        )
    for name, elsewhere in ELSEWHERE.items():
        if name in overrides_of(config.algorithm.hparams):
            raise RunConfigError(f"algorithm.hparams.{name} is set for all methods by {elsewhere}; set that")


def _check_afterlife(evaluation: EvaluationConfig) -> None:
    treatments = names_of(evaluation.afterlife or ())
    if evaluation.afterlife_adapter is not None and "merge" not in treatments:
        raise RunConfigError(
            f"evaluation.afterlife_adapter is {evaluation.afterlife_adapter!r}, which only 'merge' reads; name it in "
            "evaluation.afterlife, or leave the adapter out"
        )
    if not 0 < evaluation.afterlife_learning_rate < 1:
        raise RunConfigError(
            f"evaluation.afterlife_learning_rate is {evaluation.afterlife_learning_rate}; it must lie between 0 and 1"
        )
    if not abs(evaluation.afterlife_scale) <= MOST_SCALE:
        raise RunConfigError(
            f"evaluation.afterlife_scale is {evaluation.afterlife_scale}; it must lie between -{MOST_SCALE} and "
            f"{MOST_SCALE}, and 1 merges the adapter as it is"
        )


def _at(config: DictConfig, path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        value = value[key]
    return value


def _check_bounds(name: str, value: int | None, low: int, high: int | None) -> None:
    if value is not None and (value < low or (high is not None and value > high)):
        expected = f"at least {low}" if high is None else f"from {low} to {high}"
        raise RunConfigError(f"{name} is {value}; it must be {expected}")
