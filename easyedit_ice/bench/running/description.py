"""A run's manifest, from its settings, its method and its facts."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from easyedit_ice.bench.asking.facts import Facts
from easyedit_ice.bench.config import overrides_of
from easyedit_ice.bench.methods import Method
from easyedit_ice.bench.running.checks import ELSEWHERE
from easyedit_ice.bench.storage.manifest_entries import DataEntry, Manifest, ModelEntry
from easyedit_ice.bench.storage.run_manifest import git_revision, now, versions
from easyedit_ice.easyedit import host_info
from easyedit_ice.easyedit.methods.host_settings import AUTO
from easyedit_ice.evaluation.abilities import Tasks
from easyedit_ice.evaluation.judging import Judge
from easyedit_ice.runtime.cache import fingerprint

OPTIONAL = ("abilities", "afterlife", "judge")
"""Settings of the evaluation that switch on all those whose names begin with theirs."""


def manifest_of(
    config: DictConfig, method: Method, facts: Facts, tasks: Tasks | None = None, judge: Judge | None = None
) -> Manifest:
    """The manifest of a run that begins now."""
    settings = overrides_of(config.algorithm.hparams)
    return {
        "algorithm": method.name,
        "kind": method.kind,
        "label": config.label or _label(method.name, settings),
        "mode": {
            "name": config.mode.name,
            "batch_size": config.mode.batch_size,
            "retain_every": config.mode.retain_every,
        },
        "model": _model(config, method),
        "data": _data(config, facts, tasks, judge),
        "known_facts": facts.known_facts.entry() if facts.known_facts.records else None,
        "evaluation": _asked(config.evaluation),
        "preset": method.preset,
        "made_from_shape": _made_from_shape(method, settings),
        "hparams": method.settings(),
        "seed": config.seed,
        "versions": versions(),
        "host": str(host_info()),
        "git": git_revision(),
        "threads": config.threads,
        "command": f"{sys.argv[0]} {shlex.join(sys.argv[1:])}",
        "started": now(),
    }


def _model(config: DictConfig, method: Method) -> ModelEntry:
    parameters = list(method.model.parameters())
    return {
        "name": config.model.name,
        "fingerprint": fingerprint(method.model.state_dict().items()),
        "parameters": sum(parameter.numel() for parameter in parameters),
        "dtype": str(parameters[0].dtype).removeprefix("torch."),
        "device": str(parameters[0].device),
        "tokenizer": type(method.tok).__name__,
        "chat": in_chat(config, method),
    }


def _data(config: DictConfig, facts: Facts, tasks: Tasks | None, judge: Judge | None) -> DataEntry:
    entry: DataEntry = {
        "source": facts.source,
        "hash": facts.hash,
        "facts": len(facts.edited),
        "untouched": len(facts.untouched),
        "untouched_hash": facts.untouched_hash,
        "start": config.data.start,
        "size": config.data.size,
        "seed": config.data.seed,
        "order": config.data.order,
        "known": None if facts.chosen is None else facts.chosen.entry(),
    }
    if facts.claims_hash:
        entry["probes"] = facts.claims_hash
    if tasks is not None:
        entry["abilities"] = tasks.entry()
    if judge is not None:
        entry["judge"] = judge.entry()
    return entry


def _asked(evaluation: DictConfig) -> dict[str, Any]:
    """What is measured; of what is off by default, and not asked for, not a word."""
    settings = cast("dict[str, Any]", OmegaConf.to_container(evaluation, resolve=True))
    on = {switch: bool(settings[switch]) for switch in OPTIONAL}
    needed = {"followed_edits": on["abilities"] or on["afterlife"]}
    return {name: value for name, value in settings.items() if needed.get(name, on.get(name.partition("_")[0], True))}


def _made_from_shape(method: Method, overrides: Mapping[str, Any]) -> list[str]:
    """Settings of EasyEdit's methods that no preset has and nobody gave."""
    if method.kind == "ours" or method.preset != AUTO:
        return []
    return [name for name in method.settings() if name not in overrides and name not in ELSEWHERE]


def _label(name: str, settings: Mapping[str, Any]) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in settings.items())])


def in_chat(config: DictConfig, method: Method) -> bool:
    """Whether the model is edited and asked in a chat: by the run's own setting, or by a file of the method's."""
    return config.model.chat or getattr(method.hparams, "chat", False)
