"""The options of other commands, as the settings that Hydra reads: ``--model X`` is ``model.name=X``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from easyedit_ice.errors import RunConfigError, did_you_mean

PLACES = {
    "--algorithm": "algorithm",
    "--hparams": "algorithm.preset",
    "--set": "algorithm.hparams",
    "--model": "model.name",
    "--device": "model.device",
    "--dtype": "model.dtype",
    "--data": "data.source",
    "--facts": "data.source",
    "--split": "data.split",
    "--size": "data.size",
    "--mode": "mode",
    "--out": "out",
    "--threads": "threads",
}
"""Where a run has what an option says."""
HYDRAS = re.compile(
    r"-[a-zA-Z]{1,2}|--(help|hydra-help|version|cfg|resolve|package|run|multirun|shell-completion|config-path|"
    r"config-name|config-dir|experimental-rerun|info)(=.*)?"
)
"""Options of Hydra's own."""
_PLAIN = re.compile(r"[\w./:,@+-]*")


def as_overrides(arguments: Sequence[str]) -> list[str]:
    """Arguments in which the options of other commands stand as Hydra has them.

    Raises:
        RunConfigError: an option is none, or lacks its value.
    """
    return list(_overrides(iter(arguments)))


def _overrides(rest: Iterator[str]) -> Iterator[str]:
    for argument in rest:
        if not argument.startswith("-") or HYDRAS.fullmatch(argument):
            yield argument
            continue
        option, equals, value = argument.partition("=")
        if option not in PLACES:
            raise RunConfigError(
                f"there is no option {option}.{did_you_mean(option, PLACES)} `run` takes NAME=VALUE, such as "
                "model.name=smollm2-135m; `easyedit-ice run --help` lists them"
            )
        if not equals:
            value = next(rest, "--")
        if not equals and value.startswith("--"):
            raise RunConfigError(f"{option} has no value; write {option} VALUE, or {PLACES[option]}=VALUE")
        yield f"{PLACES[option]}{'.' if option == '--set' else '='}{value if option == '--set' else _quoted(value)}"


def _quoted(value: str) -> str:
    """As Hydra's grammar has it: a backslash counts before a quote alone. Commas sweep, as they do there."""
    if _PLAIN.fullmatch(value):
        return value
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + (match[2] and "\\'"), value)
    return f"'{escaped}'"
