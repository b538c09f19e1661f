"""The command ``easyedit-ice``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from easyedit_ice.cli.commands import BY_HYDRA, COMMANDS, ELSEWHERE, INTERNALS, module_of, parser_of
from easyedit_ice.cli.interrupted import told
from easyedit_ice.cli.parsing import Parser
from easyedit_ice.cli.status import BAD_INPUT, DONE, INTERRUPTED
from easyedit_ice.errors import EasyEditIceError, did_you_mean

__all__ = ["COMMANDS", "INTERNALS", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status, of :mod:`easyedit_ice.cli.status`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    if not words or words == ["help"]:
        parser.print_help()
        return DONE
    if words[0] in ("-V", "--version", "version"):
        return _show_version()
    if words[0] == "help":
        words = [words[1], "--help"]
    command, rest = words[0], words[1:]
    if command.startswith("-"):
        parser.parse_args(words[:1])
    if command not in COMMANDS and command not in INTERNALS:
        parser.error(_unknown(command))
    return _run(command, rest)


def _run(command: str, rest: Sequence[str]) -> int:
    arguments = None
    status: int
    try:
        if command in BY_HYDRA:
            status = module_of(command).main(rest)
        else:
            arguments = parser_of(command).parse_args(rest)
            status = module_of(command).run(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted: {told(command, arguments)}\n")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read what is printed wants no more of it, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (EasyEditIceError, OSError) as error:
        sys.stderr.write(f"easyedit-ice {command}: {type(error).__name__}: {' '.join(str(error).split())}\n")
        return BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="easyedit-ice",
        description="Change single facts in a language model's weights, see what else moved, and take changes back.",
        usage="easyedit-ice [--version] [--help] command ...",
    )
    parser.add_argument("-V", "--version", action="store_true", help="print the version, and what it runs on")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="")
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)
    return parser


def _unknown(command: str) -> str:
    names = [*COMMANDS, *INTERNALS]
    other = ELSEWHERE.get(command.lower())
    hint = f" That is `easyedit-ice {other}`." if other else did_you_mean(command, names)
    return f"there is no command {command!r}.{hint} Commands: {', '.join(COMMANDS)}"


def _show_version() -> int:
    from importlib.metadata import PackageNotFoundError, version

    import easyedit_ice

    def installed(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"no {package}"

    python = ".".join(map(str, sys.version_info[:3]))
    others = ", ".join(map(installed, ("torch", "transformers", "peft")))
    print(f"easyedit-ice {easyedit_ice.__version__} (Python {python}, {others})")
    return DONE
