"""Asking a model that was edited before everything that a run would ask, without editing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from easyedit_ice.bench.asking.examiner import Answers, Examiner
from easyedit_ice.bench.asking.facts import Fact, choose
from easyedit_ice.bench.asking.lines import before_line, later_line
from easyedit_ice.bench.config import DataConfig, EvaluationConfig
from easyedit_ice.bench.running.checkpoint import load_checkpoint
from easyedit_ice.bench.storage.run_manifest import now, versions
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.evaluation import FactScore, summarize
from easyedit_ice.evaluation.knowledge import Knowledge
from easyedit_ice.runtime.cache import fingerprint
from easyedit_ice.text.chat import asking_for


def evaluate_checkpoint(
    path: str | Path,
    data: DataConfig,
    evaluation: EvaluationConfig,
    *,
    base: str | None = None,
    device: str | None = None,
    dtype: str = "auto",
    chat: bool = False,
    check_base: bool = True,
) -> dict[str, Any]:
    """Score an edited model on facts.

    Args:
        path: what :func:`~easyedit_ice.bench.running.checkpoint.load_checkpoint` loads.
        data: the facts.
        evaluation: what to ask; neither drift nor known facts are.
        base: the unedited model. Without it locality is scored by probabilities alone, since nothing is known of what
            the model answered before.
        device: as in hyperparameters.
        dtype: as in hyperparameters.
        chat: whether to ask in the user's turn of the model's chat template.
        check_base: as for ``load_checkpoint``.

    Returns:
        what was evaluated, the means with their intervals by mode and measure, and a line for each fact.

    Raises:
        LoadingError: the checkpoint or the base cannot be loaded.
        DataError: the facts cannot be read.
        RunConfigError: there are fewer facts than asked for, or known ones are asked for without a base.
        HyperParamsError: ``chat`` is asked for, and the tokenizer has no chat template that can be used.
    """
    facts = choose(data, knowledge=None if base is None else lambda: _knowledge(*_unedited(base, device, dtype), chat))
    edited = load_checkpoint(path, base, check_base=check_base, device=device, dtype=dtype)
    before = None
    if base is not None:
        unedited, tok = _unedited(base, device, dtype)
        before = _ask(unedited, tok, facts.edited, evaluation, chat)
    after = _ask(edited.model, edited.tok, facts.edited, evaluation, chat)
    lines = (
        [before_line(fact, answers) for fact, answers in zip(facts.edited, after, strict=True)]
        if before is None
        else [
            later_line("evaluated", fact, len(facts.edited), was, answers)
            for fact, was, answers in zip(facts.edited, before, after, strict=True)
        ]
    )
    scores = [FactScore.from_dict(line["scores"]) for line in lines]
    return {
        "checkpoint": {
            "path": str(path),
            "kind": edited.kind,
            "fingerprint": fingerprint(edited.model.state_dict().items()),
        },
        "base": base,
        "chat": chat,
        "data": {"source": facts.source, "hash": facts.hash, "facts": len(facts.edited)},
        "evaluation": asdict(evaluation),
        "versions": versions(),
        "finished": now(),
        "summary": {
            mode: {measure: asdict(interval) for measure, interval in measures.items()}
            for mode, measures in summarize(scores).items()
        },
        "facts": [{key: value for key, value in line.items() if key != "phase"} for line in lines],
    }


def _unedited(base: str, device: str | None, dtype: str) -> tuple[nn.Module, Any]:
    return load_model(EditHyperParams(model_name=base, device=device, dtype=dtype))


def _knowledge(model: nn.Module, tok: Any, chat: bool) -> Knowledge:
    return Knowledge(model, tok, asking_for(tok, chat))


def _ask(model: nn.Module, tok: Any, facts: Sequence[Fact], evaluation: EvaluationConfig, chat: bool) -> list[Answers]:
    hparams = EditHyperParams(device=str(next(model.parameters()).device), max_length=evaluation.max_length)
    return Examiner(evaluation, tok, hparams, seed=0, asking=asking_for(tok, chat)).ask(model, facts)
