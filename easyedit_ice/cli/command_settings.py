"""An algorithm's settings, from what a command was given."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields

from easyedit_ice.cli.console import whole_number
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS, Algorithm
from easyedit_ice.edit.synonyms import usual_name
from easyedit_ice.edit.usual_settings import usual_settings
from easyedit_ice.errors import HyperParamsError, UnknownAlgorithmError
from easyedit_ice.runtime.threads import USUAL

MODEL_HELP = "folder, .gguf file, hub name, or a name that `easyedit-ice models` lists; the embedded model if not given"


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare ``--hparams`` and ``--set``."""
    parser.add_argument("--hparams", help="file or preset; by default the preset of the model's name, else auto")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting")


def algorithm_named(name: str) -> Algorithm:
    """An algorithm of ours.

    Raises:
        UnknownAlgorithmError: there is none of that name; of EasyEdit's own, it says which command runs them.
    """
    try:
        return ALGORITHMS[name]
    except UnknownAlgorithmError as error:
        from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS

        if name not in HOST_METHODS:
            raise
        raise UnknownAlgorithmError(
            f"{error}. {name} is a method of EasyEdit's own: `easyedit-ice run algorithm={name}` runs it"
        ) from error


def settings_for(hparams_class: type[EditHyperParams], model: str, arguments: argparse.Namespace) -> EditHyperParams:
    """From the file or preset asked for, else :func:`usual_settings`; with the settings that were given singly."""
    return usual_settings(hparams_class, model, arguments.hparams, _changes(arguments.set, hparams_class))


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Declare ``--threads``."""
    parser.add_argument(
        "--threads",
        type=whole_number(1, 1024),
        default=USUAL,
        metavar="N",
        help=f"threads of the CPU; {USUAL} by default, since small models are slowed by more",
    )


def _changes(pairs: list[str], hparams_class: type[EditHyperParams]) -> dict[str, object]:
    """The settings given singly; those called by another name are taken, and said so."""
    names = {field.name for field in fields(hparams_class)}
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise HyperParamsError(f"--set {pair!r} sets nothing; write NAME=VALUE, such as rank=8")
        usual = usual_name(name, names)
        if usual != name:
            sys.stderr.write(f"note: {name} is called {usual} here, and was taken as that\n")
        settings[usual] = _read(pair, value)
        hparams_class.refuse_wrong({usual: settings[usual]}, f"--set {pair}")
    return settings


def _read(pair: str, value: str) -> object:
    """A value as YAML has it."""
    import yaml

    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise HyperParamsError(f"--set {pair} is not written as YAML has it; close brackets and quotes") from error
