"""Rows of text files: JSON lines and tables."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any

from easyedit_ice.errors import DataError
from easyedit_ice.runtime.untrusted import parsed_json


def json_lines(text: str, path: str) -> list[Any]:
    """The objects of JSON lines; blank lines are left out.

    Raises:
        DataError: a line is not JSON; with its number.
    """
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(parsed_json(line))
        except ValueError as error:
            raise DataError(f"line {number} is not valid JSON: {error}", path) from error
    return rows


def table(text: str, delimiter: str, path: str) -> list[dict[str, Any]]:
    """Rows of a table with a header, without their empty cells; a cell that begins with ``{`` or ``[`` may be JSON.

    Raises:
        DataError: a row has more cells than the header has names, two columns have one name, or a quote is not closed.
    """
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows = []
    for index, row in enumerate(_read(reader, path)):
        if None in row:
            raise DataError(
                f"the row has more cells than the header has names ({', '.join(reader.fieldnames or ())}); put a cell "
                'that holds a separator into quotes ("…")',
                path,
                index,
            )
        rows.append({str(key).strip(): _cell(cell) for key, cell in row.items() if (cell or "").strip()})
    return [row for row in rows if row]


def _read(reader: csv.DictReader[str], path: str) -> list[dict[str | Any, str | Any]]:
    try:
        names = Counter(name.strip() for name in reader.fieldnames or ())
        if twice := [name for name, count in names.items() if name and count > 1]:
            raise DataError(f"the header names the column {twice[0]!r} twice; keep one of them", path)
        return list(reader)
    except csv.Error as error:
        remedy = 'close each quote, and double those within a cell ("…""…""…"), or give JSON'
        raise DataError(f"the table cannot be read up to line {reader.line_num} ({error}); {remedy}", path) from error


def _cell(cell: str) -> Any:
    if not cell.lstrip().startswith(("{", "[")):
        return cell
    try:
        return parsed_json(cell)
    except ValueError:
        return cell
