"""See what is installed, and what to do about what is missing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from easyedit_ice.cli.console import quiet, table
from easyedit_ice.cli.json_output import add_json, print_json
from easyedit_ice.cli.status import DONE, FOUND

if TYPE_CHECKING:
    from easyedit_ice.easyedit.host_report import Check


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the report; the status is 1 if something necessary is missing."""
    from easyedit_ice.easyedit import doctor

    with quiet():
        checks = doctor()
    missing = [check.name for check in checks if check.status == "missing"]
    if arguments.json:
        print_json({"missing": missing, "checks": checks})
    else:
        _show(checks, missing)
    return FOUND if missing else DONE


def _show(checks: Sequence[Check], missing: Sequence[str]) -> None:
    print(table(("what", "", "found"), [(check.name, check.status, check.value) for check in checks]))
    for status, heading in (("warn", "Optional:"), ("missing", "Necessary:")):
        remedies = [(check.name, check.remedy) for check in checks if check.status == status]
        if remedies:
            print(f"\n{heading}\n\n{table(('what', 'what to do'), remedies)}")
    print(f"\nMissing: {', '.join(missing)}" if missing else "\nEverything necessary is there.")
