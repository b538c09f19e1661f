"""See what is installed, and what to do about what is missing."""

from __future__ import annotations

import argparse

from easyedit_ice.cli.console import quiet, table


def configure(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print the report; the status is 1 if something necessary is missing."""
    from easyedit_ice.easyedit import doctor

    with quiet():
        checks = doctor()
    print(table(("what", "", "found"), [(check.name, check.status, check.value) for check in checks]))
    missing = [check.name for check in checks if check.status == "missing"]
    for status, heading in (("warn", "Optional:"), ("missing", "Necessary:")):
        remedies = [(check.name, check.remedy) for check in checks if check.status == status]
        if remedies:
            print(f"\n{heading}\n\n{table(('what', 'what to do'), remedies)}")
    print(f"\nMissing: {', '.join(missing)}" if missing else "\nEverything necessary is there.")
    return int(bool(missing))
