"""See what is installed, and what to do about what is missing."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.console import quiet, table


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print the report; the status is 1 if something necessary is missing."""
    from easyedit_ice.host import doctor

    with quiet():
        checks = doctor()
    print(table(("what", "", "found", "what to do"), [(c.name, c.status, c.value, c.remedy) for c in checks]))
    return int(any(check.status == "missing" for check in checks))
