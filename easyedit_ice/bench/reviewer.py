"""The reviewer's table: methods one fact at a time and in streams of several orders, asked all that a sceptic asks.

It is two sweeps of runs, so that a killed one goes on where it was, and a report of them all. Before they begin each
method edits one fact, which tells how long all will take, and which methods do not run on this model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra import compose, initialize
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from easyedit_ice.bench import app
from easyedit_ice.bench.config import REVIEWER, store_configs
from easyedit_ice.bench.methods import METHODS
from easyedit_ice.bench.running.callbacks import report_of
from easyedit_ice.bench.running.checks import check
from easyedit_ice.bench.running.shards import has_lines
from easyedit_ice.bench.running.time_left import MOST_HOURS, in_words
from easyedit_ice.bench.running.trial import Trial, try_out
from easyedit_ice.bench.storage.ledger import LEDGER
from easyedit_ice.easyedit import host_info
from easyedit_ice.errors import EasyEditIceError, HostNotFoundError, LongRunError, RunConfigError

OURS = ("FastMEMIT", "FastGrad", "FastICE", "GoRA", "LoRA-BF", "LocFT-BF", "ICE-Grad", "ICE-LoRA")
IN_THE_QUESTION = ("Prompt", "Retrieval")
RELEASE = ("FT", "ROME", "MEMIT")
HEAD = (*RELEASE, "AlphaEdit", "ULTRAEDIT", "WISE", "GRACE")
"""EasyEdit's methods that are asked for where nothing is said, by which EasyEdit there is."""
SINGLE, STREAM = "single", "stream"
"""Folders of the two sweeps."""
IN_A_STREAM = 1.5
"""How much longer a fact takes in a stream, where it is asked once more at the end: at most."""
MOST_ORDERS = 100
_NAMED_BY = ("--config-name", "-cn")
"""Hydra's flags that name the table."""
_FIXED = ("mode", "mode.name", "data.order", "write_report")
"""What the table sets by itself."""


def is_asked(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for the table, and not for a word about it such as its help."""
    flags = [argument for argument in arguments if argument.startswith("-")]
    if any(flag.partition("=")[0] in ("--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i") for flag in flags):
        return False
    return bool(_name_in(arguments) == REVIEWER)


def review(arguments: Sequence[str], told: Callable[[str], None]) -> Path:
    """Do the runs of the table, or what is left of them, and report on them.

    Args:
        arguments: as of a run: ``--config-name reviewer``, and overrides.
        told: is given what there is to say while it goes on.

    Returns:
        the folder of all runs, with the report.

    Raises:
        RunConfigError: a setting is unknown, out of bounds, or one that the table sets by itself; or no method runs.
        LongRunError: it would take longer than was asked for.
    """
    choice, rest = _split(arguments)
    store_configs(METHODS)
    names = choice or usual_methods()
    config = _composed([*rest, f"algorithm={names[0]}"])
    check(config)
    if config.data.size is None:
        raise RunConfigError("data.size is null, and how long the table takes depends on it; say how many facts")
    if not 1 <= config.orders <= MOST_ORDERS:
        raise RunConfigError(f"orders is {config.orders}; it must be from 1 to {MOST_ORDERS}")
    folder = Path(config.out)
    methods = _runnable(names, rest, config, told)
    problems = [
        *_swept(rest, methods, folder / SINGLE, "${algorithm.name}", ["mode=single"]),
        *_swept(
            rest,
            methods,
            folder / STREAM,
            "order-${data.order}/${algorithm.name}",
            ["mode=sequential", f"data.order={','.join(map(str, range(config.orders)))}"],
        ),
    ]
    if problems and not any(folder.glob(f"**/{LEDGER}")):
        raise problems[0]
    for problem in problems:
        told(f"not all of it could be done: {problem}")
    report_of(folder)
    return folder


def usual_methods() -> tuple[str, ...]:
    """The methods of a table that names none: those in the question, ours, and EasyEdit's."""
    context = (*IN_THE_QUESTION, *(("IKE",) if find_spec("sentence_transformers") else ()))
    try:
        host = RELEASE if host_info().kind == "release" else HEAD
    except HostNotFoundError:
        return (*IN_THE_QUESTION, *OURS)
    return (*context, *OURS, *host)


def estimated(trials: Sequence[Trial], facts: int, orders: int) -> float:
    """Seconds that all runs of the table take: one fact at a time once, and a stream for each order."""
    return sum(trial.start * (1 + orders) + trial.fact * facts * (1 + IN_A_STREAM * orders) for trial in trials)


def _runnable(
    names: Sequence[str], rest: Sequence[str], config: DictConfig, told: Callable[[str], None]
) -> tuple[str, ...]:
    """The methods that run on this model, if all of it takes no longer than was asked for.

    Raises:
        LongRunError: it takes longer.
        RunConfigError: none of them runs.
    """
    one = ("data.size=1", "data.untouched=0", "verbosity=quiet", "confirm=true")
    configs = {name: _composed([*rest, f"algorithm={name}", *one]) for name in names}  # unknown names end it here
    trials = []
    told(f"{len(names)} methods, one fact each, to see how long all will take")
    for name in configs:
        if has_lines(Path(config.out) / SINGLE / name):  # begun before: it runs, and was asked for
            trials.append(Trial(name))
            continue
        tried = try_out(configs[name])
        trials.append(tried)
        if tried.problem is not None:
            told(f"{name} is left out: {tried.problem}")
    left = [trial for trial in trials if trial.problem is None]
    if not left:
        raise RunConfigError(f"none of {', '.join(names)} runs on {config.model.name}: {trials[0].problem}")
    _refuse_long(left, config, told)
    return tuple(trial.method for trial in left)


def _refuse_long(trials: Sequence[Trial], config: DictConfig, told: Callable[[str], None]) -> None:
    facts = config.data.size
    seconds = estimated(trials, facts, config.orders)
    by_time = sorted(trials, key=lambda trial: -estimated([trial], facts, config.orders))
    longest = ", ".join(f"{trial.method} {in_words(estimated([trial], facts, config.orders))}" for trial in by_time[:3])
    streams = "a stream" if config.orders == 1 else f"streams of {config.orders} orders"
    whole = (
        f"{facts} facts by {len(trials)} methods, one at a time and in {streams}, take about "
        f"{in_words(seconds)} (longest: {longest})"
    )
    if seconds > MOST_HOURS * 3600 and not config.confirm:
        raise LongRunError(f"{whole}; ask for less by data.size=, orders= or algorithm=A,B,C, or add confirm=true")
    told(whole)


def _swept(
    rest: Sequence[str], methods: Sequence[str], folder: Path, below: str, fixed: Sequence[str]
) -> list[EasyEditIceError]:
    """One of the two sweeps; what went wrong in it, after which the rest of the table goes on."""
    overrides = [
        f"algorithm={','.join(methods)}",
        f"out={folder}",
        f"hydra.sweep.subdir='{below}'",
        "write_report=false",
    ]
    plain = [argument for argument in rest if not argument.startswith("out=")]
    try:
        app.main(["-m", "--config-name", REVIEWER, *plain, *overrides, *fixed])
    except EasyEditIceError as error:
        return [error]
    return []


def _composed(overrides: Sequence[str]) -> DictConfig:
    try:
        with initialize(version_base="1.3", config_path=None):
            return compose(REVIEWER, overrides=list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise RunConfigError(app.explained(error)) from error


def _split(arguments: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The methods that are named, and all other overrides.

    Raises:
        RunConfigError: one of them is a flag, sets what the table sets by itself, or is no override.
    """
    methods: tuple[str, ...] = ()
    rest = []
    for argument in (word for word in arguments if word != REVIEWER and word.partition("=")[0] not in _NAMED_BY):
        if argument.startswith("-"):
            raise RunConfigError(
                f"{argument}: the reviewer's table is two sweeps already, and takes no flag but --config-name; "
                "leave it out"
            )
        key, equals, value = argument.partition("=")
        if not equals:
            raise RunConfigError(f"{argument!r} is no setting; write NAME=VALUE, such as data.size=50")
        if key in _FIXED:
            raise RunConfigError(f"{argument}: the reviewer's table sets {key} by itself; leave it out, or use a sweep")
        if key == "algorithm":
            methods = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
        else:
            rest.append(argument)
    try:
        OverridesParser.create().parse_overrides(rest)
    except HydraException as error:
        raise RunConfigError(str(error)) from error
    return methods, rest


def _name_in(arguments: Sequence[str]) -> Any:
    """What ``--config-name`` says."""
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in _NAMED_BY:
            return value if equals else next(iter(arguments[place + 1 :]), None)
    return None
