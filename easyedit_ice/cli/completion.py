"""Print what lets a shell complete commands and options: eval "$(easyedit-ice completion bash)"."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.status import DONE

SHELLS = ("bash", "zsh", "tcsh")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("shell", choices=SHELLS, help="whose completion")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    import shtab

    from easyedit_ice.cli.commands import whole_parser

    print(shtab.complete(whole_parser(), shell=arguments.shell))
    return DONE
