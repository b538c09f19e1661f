"""What ``--json`` prints: one JSON value on stdout, and nothing else there."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, is_dataclass
from typing import Any


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare ``--json``."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON value on stdout and nothing else, without progress"
    )


def print_json(value: object) -> None:
    """Print a value of plain types, dataclasses and paths; numbers that JSON lacks (NaN, infinities) become null."""
    print(json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def as_records(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[dict[str, object]]:
    """The rows of a table as objects; words of a heading are joined by underscores."""
    names = [name.replace(" ", "_") for name in header]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (Sequence, AbstractSet, Iterator)):
        return [_plain(inner) for inner in value]
    return str(value)
