"""Asking a model that was edited before everything that a run would ask, without editing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from easyedit_ice.bench.asking.examiner import Examiner
from easyedit_ice.bench.asking.fact_answers import Answers
from easyedit_ice.bench.asking.facts import Fact, choose
from easyedit_ice.bench.asking.lines import before_line, later_line
from easyedit_ice.bench.config import DataConfig, EvaluationConfig
from easyedit_ice.bench.running.checkpoint import load_checkpoint
from easyedit_ice.bench.storage.line import OLD, TOLD, Line
from easyedit_ice.bench.storage.run_manifest import now, versions
from easyedit_ice.checkpoints.loading import load_model
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.evaluation import FactScore, summarize
from easyedit_ice.evaluation.intervals import share_interval
from easyedit_ice.evaluation.knowledge import Knowledge
from easyedit_ice.evaluation.probes import shares
from easyedit_ice.evaluation.scores import MODES
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.cache import fingerprint
from easyedit_ice.text.chat import asking_for

ABLE = {TOLD: "unedited, told", OLD: "unedited, of old facts"}
"""What says whether the unedited model can answer the probes at all."""


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
    seed: int = 0,
) -> dict[str, Any]:
    """Score an edited model on facts.

    Args:
        path: what :func:`~easyedit_ice.bench.running.checkpoint.load_checkpoint` loads.
        data: the facts.
        evaluation: what to ask; neither drift nor known facts are. With probes the base is asked as well what it can
            answer at all.
        base: the unedited model. Without it locality is scored by probabilities alone, since nothing is known of what
            the model answered before.
        device: as in hyperparameters.
        dtype: as in hyperparameters.
        chat: whether to ask in the user's turn of the model's chat template.
        check_base: as for ``load_checkpoint``.
        seed: of what probes are made of.

    Returns:
        what was evaluated, the means with their intervals by mode and measure, those of probes by who was asked, and a
        line for each fact.

    Raises:
        LoadingError: the checkpoint or the base cannot be loaded.
        DataError: the facts cannot be read.
        RunConfigError: there are fewer facts than asked for, or known ones are asked for without a base.
        HyperParamsError: ``chat`` is asked for, and the tokenizer has no chat template that can be used.
    """
    facts = choose(data, knowledge=None if base is None else lambda: _knowledge(*_unedited(base, device, dtype), chat))
    facts = facts.with_claims(seed) if evaluation.probes else facts
    edited = load_checkpoint(path, base, check_base=check_base, device=device, dtype=dtype)
    unedited_name = edited.base if edited.kind == "book" else base
    before = None
    if unedited_name is not None:
        unedited, tok = _unedited(unedited_name, device, dtype)
        before = _examiner(unedited, tok, evaluation, chat).ask_unedited(unedited, facts.edited)
    after = _examiner(edited.model, edited.tok, evaluation, chat).ask(edited.model, facts.edited)
    lines = _lines(facts.edited, before, after)
    scores = [
        FactScore.from_dict({mode: line["scores"][mode] for mode in MODES if mode in line["scores"]}) for line in lines
    ]
    return {
        "checkpoint": {
            "path": str(path),
            "kind": edited.kind,
            "fingerprint": fingerprint(edited.model.state_dict().items()),
        },
        "base": unedited_name,
        "chat": chat,
        "data": {"source": facts.source, "hash": facts.hash, "facts": len(facts.edited)},
        "evaluation": asdict(evaluation),
        "versions": versions(),
        "finished": now(),
        "summary": {
            mode: {measure: asdict(interval) for measure, interval in measures.items()}
            for mode, measures in summarize(scores).items()
        },
        "probes": _probes(before, after),
        "facts": [{key: value for key, value in line.items() if key != "phase"} for line in lines],
    }


def _unedited(base: str, device: str | None, dtype: str) -> tuple[nn.Module, Tokenizer]:
    return load_model(EditHyperParams(model_name=base, device=device, dtype=dtype))


def _knowledge(model: nn.Module, tok: Tokenizer, chat: bool) -> Knowledge:
    return Knowledge(model, tok, asking_for(tok, chat))


def _examiner(model: nn.Module, tok: Tokenizer, evaluation: EvaluationConfig, chat: bool) -> Examiner:
    hparams = EditHyperParams(device=str(next(model.parameters()).device), max_length=evaluation.max_length)
    return Examiner(evaluation, tok, hparams, seed=0, asking=asking_for(tok, chat))


def _lines(facts: Sequence[Fact], before: Sequence[Answers] | None, after: Sequence[Answers]) -> list[Line]:
    """A line for each fact, on what was answered before where that is known."""
    if before is None:
        return [before_line(fact, answers) for fact, answers in zip(facts, after, strict=True)]
    return [
        later_line("evaluated", fact, len(facts), was, answers)
        for fact, was, answers in zip(facts, before, after, strict=True)
    ]


def _probes(before: Sequence[Answers] | None, after: Sequence[Answers]) -> dict[str, dict[str, Any]]:
    """Shares of facts with a right answer, with their intervals, by who was asked and probe; empty where none was."""
    asked = {"edited": [fact_answers.probed for fact_answers in after]}
    if before is not None:
        asked["unedited"] = [fact_answers.probed for fact_answers in before]
        asked |= {how: [fact_answers.able.get(style, ()) for fact_answers in before] for style, how in ABLE.items()}
    result: dict[str, dict[str, Any]] = {}
    for who, answers in asked.items():
        right: dict[str, list[float]] = {}
        for probes in answers:
            for probe, share in shares(probes).items():
                right.setdefault(probe, []).append(share)
        if right:
            result[who] = {probe: asdict(share_interval(values)) for probe, values in right.items()}
    return result
