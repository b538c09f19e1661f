"""The command ``easyedit-ice``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from easyedit_ice.cli.status import BAD_INPUT, INTERRUPTED
from easyedit_ice.errors import EasyEditIceError

COMMANDS = {
    "choose": "which algorithm for which job, with the figures that say so",
    "demo": "watch a model's facts being edited and restored: of the embedded model, or of any other",
    "edit": "edit facts of any model, see whether they took and what else moved, and save the result",
    "ui": "edit facts on a page in the browser, on this machine",
    "edits": "keep edits in a book: put any of them into a model, take them out, ask, compare, export",
    "run": "run methods on benchmarks, singly or as sweeps, resumably",
    "eval": "evaluate a saved edit or an edited model, without editing",
    "probe": "look at a model before you edit it: what it knows, and how far it follows a new fact",
    "report": "tables, plots and a page of runs side by side",
    "doctor": "see what is installed, and what to do about what is missing",
    "experts": "train, list, show, delete or ask experts of singular values",
    "hparams": "list algorithms, presets, and the meaning of every setting",
    "models": "list the models that come in packages, and convert one or a .gguf file",
    "plan": "what an edit would take, and which GPU has room for it, without loading the model",
    "spectra": "list or delete the decompositions of weights that SVF scales",
    "stats": "measure, list or delete the second moments of closed-form editors",
    "world": "train, measure or export the embedded world",
}
"""Name of each command, which is also its module's, and what it is for."""
BY_HYDRA = ("run",)
"""Commands whose arguments Hydra reads."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status, of :mod:`easyedit_ice.cli.status`."""
    parser = argparse.ArgumentParser(prog="easyedit-ice", description="Efficient knowledge editors for EasyEdit.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, purpose in COMMANDS.items():
        subparsers.add_parser(name, help=purpose, add_help=False)
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen, rest = parser.parse_args(given[:1]), given[1:]
    module = import_module(f"easyedit_ice.cli.{chosen.command}")
    try:
        if chosen.command in BY_HYDRA:
            return module.main(rest)
        command = argparse.ArgumentParser(prog=f"easyedit-ice {chosen.command}", description=module.__doc__)
        module.configure(command)
        return module.run(command.parse_args(rest))
    except KeyboardInterrupt:
        return INTERRUPTED
    except (EasyEditIceError, OSError) as error:
        sys.stderr.write(f"easyedit-ice {chosen.command}: {type(error).__name__}: {error}\n")
        return BAD_INPUT
