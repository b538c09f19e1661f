"""Arguments that are not understood, and what was probably meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from easyedit_ice.cli.status import BAD_INPUT, EPILOG
from easyedit_ice.errors import did_you_mean

ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "--target-new": "--target",
        "--new": "--target",
        "--answer": "--target",
        "--model-name": "--model",
        "--model-path": "--model",
        "--file": "--facts",
        "--data": "--facts",
        "--method": "--algorithm",
        "--alg": "--algorithm",
        "--alg-name": "--algorithm",
        "--editing-method": "--algorithm",
        "--hparams-dir": "--hparams",
        "--preset": "--hparams",
        "--config": "--hparams",
        "--out": "--save",
        "--output": "--save",
        "--output-dir": "--save",
        "--rephrase-prompt": "--rephrase",
        "--query": "--ask",
        "--yes": "--overwrite",
    }
)
"""The name of an option by what it is called elsewhere."""
_CHOICE = re.compile(r"invalid choice: '?(.*?)'? \(choose from (.*)\)$")
_UNKNOWN = "unrecognized arguments: "
_OF_A_FACT = ("prompt", "target", "subject", "rephrase")
"""Options whose text is looked at as that of a fact."""
_MISSING = "the following arguments are required: "


class Parser(argparse.ArgumentParser):
    """A parser that says what was probably meant, and ends with the status of bad input."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"epilog": EPILOG, **options})

    def parse_args(  # type: ignore[override] # argparse's own overloads differ in the namespace alone
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        """As argparse does; an option without text, as an unset variable of the shell gives it, is not understood."""
        values: argparse.Namespace = super().parse_args(args, namespace)
        blank = [name for name, value in vars(values).items() if name not in _OF_A_FACT and _is_blank(value)]
        if blank:
            self.error(f"--{blank[0].replace('_', '-')} is blank; give it a value, or leave it out")
        return values

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in a line, and where there is more."""
        self.exit(BAD_INPUT, f"{self.prog}: {explained(message, self)}\n`{self.prog} --help` says more.\n")


def explained(message: str, parser: argparse.ArgumentParser) -> str:
    """An error of argparse with what was probably meant."""
    if message.startswith(_UNKNOWN):
        return _unknown(message.removeprefix(_UNKNOWN).split(), parser)
    if (match := _CHOICE.search(message)) is not None:
        names = [name.strip("' ") for name in match[2].split(",")]
        what = message[: match.start()].removeprefix("argument ").rstrip(": ")
        return f"{what} is {match[1]!r}.{did_you_mean(match[1], names)} There are: {', '.join(names)}"
    if message.startswith(_MISSING):
        below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        return message + "".join(f". There are: {', '.join(action.choices)}" for action in below)
    return message


def _is_blank(value: object) -> bool:
    return any(isinstance(text, str) and not text.strip() for text in (value if isinstance(value, list) else [value]))


def _unknown(words: Sequence[str], parser: argparse.ArgumentParser) -> str:
    options = list(dict.fromkeys(_options(parser)))
    told = []
    for name in (argument.partition("=")[0] for argument in words if argument.startswith("-")):
        dashed = name.replace("_", "-").lower()
        if (other := ELSEWHERE.get(dashed)) in options:
            hint = f" It is called {other} here."
        elif dashed in options:
            hint = f" It is spelt {dashed}."
        elif "--set" in options and _is_setting(dashed):
            hint = f" A setting is given as --set {dashed.lstrip('-').replace('-', '_')}=VALUE."
        else:
            hint = did_you_mean(dashed, options)
        told.append(f"there is no option {name}.{hint}")
    return " ".join(told) or f"there is nothing to do with {' '.join(words)}; text with spaces belongs in quotes"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Of a parser and of those below it."""
    for action in parser._actions:
        yield from (name for name in action.option_strings if name.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _options(below)


def _is_setting(option: str) -> bool:
    from easyedit_ice.edit.registry import ALGORITHMS
    from easyedit_ice.edit.synonyms import SYNONYMS

    name = option.lstrip("-").replace("-", "_")
    return name in SYNONYMS or any(spec.has_setting(name) for spec in ALGORITHMS.values())
