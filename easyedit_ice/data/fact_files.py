"""A user's file of facts: JSON, JSON lines, CSV or TSV, with the keys of a request, or in a published form.

Where a published benchmark may hold anything, here a key that is not known is a mistake, and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from easyedit_ice.data.easyedit_requests import to_requests
from easyedit_ice.data.file_rows import json_lines, table
from easyedit_ice.data.load import read_records
from easyedit_ice.data.published_forms import FORMS, recognise
from easyedit_ice.edit.request_keys import KEYS, NOTES, OTHER_NAMES
from easyedit_ice.errors import DataError, did_you_mean
from easyedit_ice.runtime.untrusted import parsed_json

_PLAIN = FORMS["knowedit"]


def read_facts(path: str | Path) -> list[dict[str, Any]]:
    """Facts of a file, as request dicts.

    Args:
        path: ``.csv`` and ``.tsv`` have a header; ``.jsonl`` has an object in each line; anything else is JSON, a list
            of objects or a single one, or else JSON lines. Keys are :data:`KEYS`, also by their :data:`OTHER_NAMES`, or
            those of a form that EasyEdit publishes. A cell of a table that begins with ``{`` or ``[`` is JSON.

    Raises:
        DataError: there is no such file, it holds no fact, or one that cannot be read; with the record at fault.
    """
    rows = _rows(Path(path))
    if not rows:
        raise DataError("the file holds no fact; expected at least one, with prompt and target_new", str(path))
    odd = next((index for index, row in enumerate(rows) if not isinstance(row, Mapping)), None)
    if odd is not None:
        raise DataError(f"it is {rows[odd]!r}; expected an object with prompt and target_new", str(path), odd)
    if _published(rows, str(path)):
        return [dict(request) for request in to_requests(read_records(rows, path=str(path), on_error="raise"))]
    return [_fact(_renamed(row), index, str(path)) for index, row in enumerate(rows)]


def _published(rows: Sequence[Mapping[str, Any]], path: str) -> bool:
    """Whether the records are of a form that has other keys than a request."""
    marked = any(form.shown_by(row) for row in rows for form in FORMS.values() if form is not _PLAIN)
    return marked and recognise(rows, path) is not _PLAIN


def _fact(row: Mapping[str, Any], index: int, path: str) -> dict[str, Any]:
    names = (*KEYS, *OTHER_NAMES, *NOTES)
    for key in row:
        if key not in names:
            raise DataError(
                f"the key {key!r} is not known.{did_you_mean(str(key).lower(), names)} A fact has: {', '.join(KEYS)}",
                path,
                index,
            )
    for other, name in OTHER_NAMES.items():
        if other in row:  # else it would have been renamed
            raise DataError(f"it has both {name} and {other}, which mean the same; keep one of them", path, index)
    for key in ("prompt", "target_new"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            what = "is missing" if row.get(key) is None else f"is {row[key]!r}"
            raise DataError(f"{key} {what}; expected text. It has: {', '.join(row) or 'nothing'}", path, index)
    return {key: row[key] for key in KEYS if row.get(key) is not None}


def _renamed(row: Any) -> Any:
    """The record with a request's own names, unless it has other ones of its form."""
    if not isinstance(row, Mapping) or "prompt" not in row:
        return row
    return {OTHER_NAMES.get(key, key) if OTHER_NAMES.get(key) not in row else key: value for key, value in row.items()}


def _rows(path: Path) -> list[Any]:
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("there is no such file; give a .json, .jsonl, .csv or .tsv file of facts", str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the file cannot be read as UTF-8 text ({error}); save it as text in UTF-8", str(path)
        ) from error
    if not text.strip():
        return []
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv"):
        return table(text, "\t" if kind == ".tsv" else ",", str(path))
    if kind in (".jsonl", ".ndjson"):
        return json_lines(text, str(path))
    try:
        content = parsed_json(text)
    except ValueError as error:
        if "\n" in text.strip() and text.lstrip().startswith("{"):
            return json_lines(text, str(path))
        raise DataError(f"the file is not valid JSON: {error}", str(path)) from error
    return content if isinstance(content, list) else [content]
