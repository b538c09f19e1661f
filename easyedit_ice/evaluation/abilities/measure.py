"""Scoring a model in memory with lm-eval, which is imported when it is asked for and not before."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from torch import nn

from easyedit_ice.errors import AbilityError, RunConfigError, did_you_mean
from easyedit_ice.evaluation.abilities.ability import Ability, with_samples
from easyedit_ice.evaluation.abilities.world_tasks import WORLD_TASKS, write_world_tasks
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.captured_output import logged_prints
from easyedit_ice.runtime.extras import require
from easyedit_ice.runtime.randomness import seeded

logger = logging.getLogger(__name__)

FEW_SHOT_SEED = 1234
"""lm-eval's own, by which its command draws examples."""
_LOCAL = f"{', '.join(WORLD_TASKS[:-1])} and {WORLD_TASKS[-1]}"
"""The tasks that need no download, in words."""
_SUFFIXES = (".yaml", ".yml")


class Tasks:
    """Tasks of lm-eval, found and read, ready to be asked.

    Args:
        names: of built-in tasks, groups or tags; paths of YAML files that define one; or those of the embedded world.
        limit: how many documents of each task, the first ones; all if none.
        chat: ask in the tokenizer's chat template.
        batch_size: how many texts are put to the model at a time.

    Raises:
        MissingExtraError: lm-eval is not installed.
        RunConfigError: there is no such task, or none is named.
        AbilityError: a task's data cannot be had.
    """

    def __init__(
        self, names: Sequence[str], limit: int | None = None, *, chat: bool = False, batch_size: int = 8
    ) -> None:
        require("abilities", "scoring abilities")
        if not names:
            raise RunConfigError("no task is named; name one of lm-eval's, or factworld_choice")
        self.names, self.limit = tuple(names), limit
        self._chat, self._batch_size = chat, batch_size
        with logged_prints():
            self._loaded = _load(self.names)
        for task in self._tasks.values():
            if task.get_config("num_fewshot") is None:
                task.set_config(key="num_fewshot", value=0)

    @property
    def _tasks(self) -> Mapping[str, Any]:
        """lm-eval's tasks by name, those of groups one by one."""
        tasks: Mapping[str, Any] = self._loaded["tasks"]
        return tasks

    def entry(self) -> dict[str, Any]:
        """What a manifest says of them: lm-eval's version, and by task a hash of the texts that a model is asked."""
        return {
            "lm_eval": version("lm_eval"),
            "limit": self.limit,
            "tasks": {name: self._hash(task) for name, task in sorted(self._tasks.items())},
        }

    def measure(self, model: nn.Module, tok: Tokenizer) -> tuple[Ability, ...]:
        """The model's score in each task; model, tokenizer and random state stay as they were.

        Args:
            model: a causal model of transformers; it is asked as it is in memory, and never written to disk.
            tok: its tokenizer.

        Raises:
            AbilityError: the model has no configuration or device, or lm-eval fails on it.
        """
        if not all(hasattr(model, name) for name in ("config", "device")):
            raise AbilityError(
                f"lm-eval asks models of transformers, and {type(model).__name__} has no config or no device; leave "
                "evaluation.abilities out for this method"
            )
        from lm_eval import evaluate
        from lm_eval.models.huggingface import HFLM

        with preserved(model, tok), seeded(0, model), logged_prints():
            _leave_head(model)
            for task in self._tasks.values():
                task.set_fewshot_seed(seed=FEW_SHOT_SEED)
            try:
                # Not simple_evaluate: it reads the tasks' data again, runs git, pip and lscpu, and gives nothing
                # to any process but the first.
                results = evaluate(
                    HFLM(pretrained=model, tokenizer=tok, batch_size=self._batch_size),
                    task_dict=self._loaded,
                    limit=self.limit,
                    apply_chat_template=self._chat,
                    bootstrap_iters=0,
                )
            # lm-eval and the tasks' own code raise whatever they stumble over.
            except Exception as error:
                raise AbilityError(
                    f"lm-eval failed on {', '.join(self.names)} ({type(error).__name__}: {error}); the log has the "
                    "traceback at level debug"
                ) from error
        return tuple(_abilities(results))

    def _hash(self, task: Any) -> str:
        """Of every text that is put to a model, with what may follow it."""
        task.set_fewshot_seed(seed=FEW_SHOT_SEED)
        with logged_prints():
            task.build_all_requests(limit=self.limit, rank=0, world_size=1)
        asked = [[str(part) for part in request.args] for request in task.instances]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _leave_head(model: nn.Module) -> None:
    """Keep HFLM from tying head and embedding anew, which would undo an edit of one of them (findings)."""
    cast("Any", model).tie_weights = lambda *_, **__: None


def abilities(
    model: nn.Module,
    tok: Tokenizer,
    tasks: Sequence[str],
    limit: int | None = None,
    *,
    chat: bool = False,
    batch_size: int = 8,
) -> dict[str, Ability]:
    """Score a model in memory in tasks of lm-eval; it is left as it was.

    Args:
        model: a causal model of transformers, edited or not.
        tok: its tokenizer.
        tasks: as :class:`Tasks` takes them.
        limit: how many documents of each task.
        chat: ask in the tokenizer's chat template.
        batch_size: how many texts are put to the model at a time.

    Returns:
        scores by task and metric, as ``{"arc_easy acc": …}``.

    Raises:
        MissingExtraError: lm-eval is not installed.
        RunConfigError: there is no such task.
        AbilityError: a task's data cannot be had, or the model cannot be asked.
    """
    scores = Tasks(tasks, limit, chat=chat, batch_size=batch_size).measure(model, tok)
    return {ability.name: ability for ability in scores}


def _load(names: Sequence[str]) -> Any:
    """What lm-eval makes of names: tasks and groups, with their data."""
    from lm_eval.tasks import TaskManager

    files = [name for name in names if name.endswith(_SUFFIXES)]
    of_world = set(names) & set(WORLD_TASKS)
    manager = TaskManager(
        include_path=[write_world_tasks()] if of_world else None,
        include_defaults=len(files) + len(of_world) < len(names),
    )
    for name in names:
        if name in files and not Path(name).is_file():
            raise RunConfigError(f"there is no file {name}; give the path of a YAML file that defines a task")
        if name not in files and name not in manager.all_tasks:
            raise RunConfigError(
                f"lm-eval {version('lm_eval')} has no task {name!r}; `lm_eval ls tasks` lists them, a YAML file "
                f"defines another, and {_LOCAL} need no download."
                f"{did_you_mean(name, [*manager.all_tasks, *WORLD_TASKS])}"
            )
    try:
        return manager.load(list(dict.fromkeys(names)))
    # Tasks are code and data of strangers, read from the hub by way of several libraries.
    except Exception as error:
        data = f"the data of {', '.join(names)}"
        if files:
            data = f"{', '.join(files)} cannot be read as lm-eval's tasks are, or {data}"
        raise AbilityError(
            f"{data} cannot be had ({type(error).__name__}: {error}); without a network, take "
            f"tasks whose data are in the hub's cache already, or {_LOCAL}, which need none"
        ) from error


def _abilities(results: Mapping[str, Any]) -> Iterator[Ability]:
    """Scores of whole groups where they have one, and of tasks that belong to none of these."""
    groups = results.get("groups", {})
    members = {name: list(_leaves(name, results["group_subtasks"])) for name in groups}
    inner = {child for name in groups for child in results["group_subtasks"].get(name, ())}
    grouped = {leaf for leaves in members.values() for leaf in leaves}
    for name in groups:
        if name not in inner:
            yield from _scores(name, groups[name], members[name], results)
    for name, scores in results["results"].items():
        if name not in groups and name not in grouped and name in results["samples"]:
            yield from _scores(name, scores, [name], results)


def _leaves(name: str, children: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The tasks that are in a group, at any depth."""
    below = children.get(name) or ()
    if not below:
        yield name
    for child in below:
        yield from _leaves(child, children)


def _scores(
    name: str, scores: Mapping[str, Any], leaves: Sequence[str], results: Mapping[str, Any]
) -> Iterator[Ability]:
    for key, value in scores.items():
        metric, _, how = key.partition(",")
        if not how or metric.endswith("_stderr") or not isinstance(value, (int, float)):
            continue
        higher = results["higher_is_better"].get(leaves[0], {}).get(metric)
        ability = Ability(name, metric if how == "none" else key, float(value), higher is not False)
        aggregation = _aggregation(results["configs"][leaves[0]], metric)
        yield with_samples(ability, aggregation, _samples(leaves, metric, how, results))


def _aggregation(config: Mapping[str, Any], metric: str) -> str | None:
    """How a task's metric is made of its samples: as its definition says, else by lm-eval's default."""
    from lm_eval.api.registry import get_metric_aggregation

    for entry in config.get("metric_list") or ():
        if entry.get("metric") == metric and isinstance(entry.get("aggregation"), str):
            return str(entry["aggregation"])
    usual = get_metric_aggregation(metric)
    return getattr(usual, "__name__", None)


def _samples(leaves: Sequence[str], metric: str, how: str, results: Mapping[str, Any]) -> list[Any]:
    return [
        sample[metric]
        for leaf in leaves
        for sample in sorted(results["samples"][leaf], key=lambda entry: entry["doc_id"])
        if sample["filter"] == how and metric in sample
    ]
