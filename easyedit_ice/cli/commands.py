"""The commands, and the parser of each."""

from __future__ import annotations

import argparse
from importlib import import_module
from types import ModuleType

from easyedit_ice.cli.parsing import Parser

COMMANDS = {
    "edit": "edit facts of any model, see whether they took and what else moved, and save the result",
    "ui": "edit facts on a page in the browser, on this machine",
    "edits": "keep edits in a book: put any of them into a model, take them out, ask, compare, export",
    "demo": "watch a model's facts being edited and restored: of the embedded model, or of any other",
    "choose": "which algorithm for which job, with the figures that say so",
    "hparams": "list algorithms, presets, and the meaning of every setting",
    "models": "list the models that come in packages, and convert one or a .gguf file",
    "probe": "look at a model before you edit it: what it knows, and how far it follows a new fact",
    "plan": "what an edit would take, and which GPU has room for it, without loading the model",
    "run": "run methods on benchmarks, singly or as sweeps, resumably",
    "report": "tables, plots and a page of runs side by side",
    "eval": "evaluate a saved edit or an edited model, without editing",
    "abilities": "score what a model can do besides its edits, in tasks of lm-eval",
    "doctor": "see what is installed, and what to do about what is missing",
    "completion": "print what lets a shell complete commands and options",
    "internals": "experts, spectra, second moments and the embedded world: what editors make and use",
}
"""Name of each command, which is also its module's, and what it is for."""
INTERNALS = {
    "experts": "train, list, show, delete or ask experts of singular values",
    "spectra": "list or delete the decompositions of weights that SVF scales",
    "stats": "measure, list or delete the second moments of closed-form editors",
    "world": "train, measure or export the embedded world",
}
"""What ``internals`` does; each is understood as a command of its own too."""
ELSEWHERE = {
    "add": "edits add",
    "apply": "edits apply",
    "ask": "edits ask",
    "bench": "run",
    "benchmark": "run",
    "chat": "edits ask",
    "check": "doctor",
    "evaluate": "eval",
    "export": "edits export",
    "gui": "ui",
    "info": "doctor",
    "list": "edits list",
    "page": "ui",
    "presets": "hparams",
    "remove": "edits remove",
    "revert": "edits undo",
    "serve": "ui",
    "settings": "hparams",
    "show": "edits show",
    "undo": "edits undo",
    "web": "ui",
}
"""The command for what is called otherwise elsewhere."""
BY_HYDRA = ("run",)
"""Commands whose arguments Hydra reads."""


def module_of(command: str) -> ModuleType:
    """The module that a command is in."""
    return import_module(f"easyedit_ice.cli.{command}")


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command, with what it is for and what its exit status says."""
    module = module_of(command)
    parser = Parser(prog=f"easyedit-ice {command}", description=module.__doc__)
    module.configure(parser)
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """A parser with every command and every option, for completion."""
    parser = Parser(prog="easyedit-ice")
    commands = parser.add_subparsers(metavar="command")
    for name, purpose in (COMMANDS | INTERNALS).items():
        below = commands.add_parser(name, help=purpose)
        if name not in BY_HYDRA:
            module_of(name).configure(below)
    return parser
