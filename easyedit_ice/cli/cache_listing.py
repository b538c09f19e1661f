"""What the commands about a folder of the cache have in common: listing it and clearing it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from easyedit_ice.cli.console import table
from easyedit_ice.cli.json_output import as_records, print_json


def show_entries(header: Sequence[str], rows: Sequence[Sequence[object]], folder: Path, *, as_json: bool) -> None:
    """Print a table of what is kept, and where."""
    if as_json:
        print_json({"folder": folder, "entries": as_records(header, rows)})
        return
    print(table(header, rows) if rows else "there are none")
    print(f"\nin {folder}")


def show_cleared(count: int, folder: Path, what: str = "files") -> None:
    """Print what was deleted."""
    print(f"deleted {count} {what} from {folder}")


def mebibytes(size: int) -> str:
    """A number of bytes, as a cell of the table."""
    return f"{size / 2**20:.1f}"
