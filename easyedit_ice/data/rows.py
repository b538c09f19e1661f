"""Rows of text files: JSON lines and tables."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from easyedit_ice.errors import DataError


def json_lines(text: str, path: str) -> list[Any]:
    """The objects of JSON lines; blank lines are left out.

    Raises:
        DataError: a line is not JSON; with its number.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(f"line {number} is not valid JSON: {error}", path) from error
    return found


def table(text: str, delimiter: str, path: str) -> list[dict[str, Any]]:
    """Rows of a table with a header, without their empty cells; a cell that begins with ``{`` or ``[`` may be JSON.

    Raises:
        DataError: a row has more cells than the header has names.
    """
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    rows = []
    for index, row in enumerate(reader):
        if None in row:
            raise DataError(
                f"the row has more cells than the header has names ({', '.join(reader.fieldnames or ())}); put a cell "
                'that holds a separator into quotes ("…")',
                path,
                index,
            )
        rows.append({str(key).strip(): _cell(cell) for key, cell in row.items() if (cell or "").strip()})
    return [row for row in rows if row]


def _cell(cell: str) -> Any:
    if not cell.lstrip().startswith(("{", "[")):
        return cell
    try:
        return json.loads(cell)
    except json.JSONDecodeError:
        return cell
