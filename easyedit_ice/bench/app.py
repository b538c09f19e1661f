"""The run as an application of Hydra: composition, sweeps and launchers."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from easyedit_ice.bench.config import CONFIG, REVIEWER, USUAL, store_configs
from easyedit_ice.bench.methods import METHODS
from easyedit_ice.bench.running.one_run import run
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.edit.synonyms import usual_name
from easyedit_ice.errors import LedgerError, RunConfigError, did_you_mean

SWEEP = "runs/sweep"
SWEEPING = {"-m", "--multirun"}
HPARAMS = "algorithm.hparams."


def job(config: DictConfig) -> str:
    """One job of Hydra's: a run in the folder that Hydra chose for it."""
    return str(run(config, HydraConfig.get().runtime.output_dir))


def main(arguments: Sequence[str]) -> Path | None:
    """Run or sweep as Hydra's command line says.

    Args:
        arguments: overrides, such as ``mode=sequential`` or ``algorithm.hparams.rank=4,8``, and Hydra's flags; ``-m``
            for a sweep.

    Returns:
        the folder with the run or the runs; none if Hydra was asked for something else, such as its help.

    Raises:
        RunConfigError: an override names what is not there, or is not of its type.
    """
    store_configs(METHODS)
    sweeps = bool(SWEEPING & set(arguments))
    done: list[Path] = []
    raised: list[BaseException] = []

    def alone(config: DictConfig) -> None:
        # What is raised is kept from Hydra, which then removes the folders it made for nothing (bench/callbacks.py).
        try:
            done.append(Path(job(config)))
        except BaseException as error:
            raised.append(error)

    with _called_with([*arguments, *(_for_sweep(arguments) if sweeps else ())]):
        try:
            hydra.main(version_base="1.3", config_path=None, config_name=CONFIG)(job if sweeps else alone)()
        except (HydraException, OmegaConfBaseException) as error:
            raise RunConfigError(explained(error)) from error
        except OSError as error:
            raise LedgerError(f"the folder cannot be made ({error}); choose another one with out=...") from error
    if raised:
        raise raised[0]
    return _swept_into(arguments) if sweeps else next(iter(done), None)


def with_usual_names(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides by the names that settings of this package's algorithms have, and a note for each that had another."""
    chosen = [argument.partition("=")[2] for argument in arguments if argument.startswith("algorithm=")] or [USUAL]
    ours = [ALGORITHMS[name].hparams_class for choice in chosen for name in choice.split(",") if name in ALGORITHMS]
    names = {field.name for kind in ours for field in fields(kind)}
    result, notes = [], []
    for argument in arguments:
        path, equals, value = argument.partition("=")
        name = path.removeprefix(HPARAMS)
        usual = usual_name(name, names) if path.startswith(HPARAMS) else name
        if usual != name:
            notes.append(f"{name} is called {usual} here, and was taken as that")
        result.append(argument if usual == name else f"{HPARAMS}{usual}{equals}{value}")
    return result, notes


def _swept_into(arguments: Sequence[str]) -> Path | None:
    """The folder of a sweep, where the command names it as it is."""
    overrides = {override.get_key_element(): override.value() for override in _parsed(arguments)}
    folder = Path(str(overrides.get("hydra.sweep.dir", overrides.get("out", SWEEP))))
    return folder if folder.is_dir() else None


def _for_sweep(arguments: Sequence[str]) -> list[str]:
    """What a sweep needs said: its folder, and that its runs' folders are named by what is swept alone."""
    overrides = _parsed(arguments)
    fixed = {override.get_key_element() for override in overrides if not override.is_sweep_override()}
    added = [f"hydra.job.config.override_dirname.exclude_keys=[{','.join(sorted({*fixed, 'out'}))}]"]
    return added if "out" in fixed else [*added, f"out={SWEEP}"]


def _parsed(arguments: Sequence[str]) -> list[Any]:
    written = [argument for argument in arguments if "=" in argument and not argument.startswith("-")]
    try:
        return OverridesParser.create().parse_overrides(written)
    except HydraException as error:
        raise RunConfigError(str(error)) from error


def explained(error: Exception) -> str:
    """Hydra's message, with the name that was probably meant."""
    message = str(error)
    cause = error.__cause__
    unknown = re.search(r"Could not override '([^']+)'", message)
    if unknown and cause is not None:
        path, _, name = unknown[1].rpartition(".")
        settings = [str(key) for key in getattr(cause, "parent_node", None) or ()]
        return (
            f"there is no setting {unknown[1]!r}.{did_you_mean(name, settings)} "
            f"{path or 'At the top there are'}{' has' if path else ''}: {', '.join(settings)}"
        )
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"{group} is {name!r}.{did_you_mean(name, error.options)} There are: {', '.join(error.options)}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        name, there = str(error.missing_cfg_file), [CONFIG, REVIEWER]
        return f"--config-name is {name!r}.{did_you_mean(name, there)} There are: {', '.join(there)}"
    told = f"{message.splitlines()[0]}: {str(cause).splitlines()[0]}" if cause is not None else message
    return f"{told.rstrip('.')}; write a list in brackets, such as [a,b]" if "ListConfig" in told else told


@contextmanager
def _called_with(arguments: Sequence[str]) -> Iterator[None]:
    """Hydra reads the process's arguments, and hides tracebacks unless told not to."""
    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = ["easyedit-ice run", *arguments], "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full
