"""The one way in: a name or a path becomes :class:`Records`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from easyedit_ice.data.benchmarks import BENCHMARKS, download
from easyedit_ice.data.cleaning import normalise
from easyedit_ice.data.file_rows import json_lines, table
from easyedit_ice.data.published_forms import form_named, recognise
from easyedit_ice.data.records import DataProblem, Record, Records, Severity
from easyedit_ice.errors import DataError, did_you_mean
from easyedit_ice.runtime.untrusted import is_file, parsed_json

_FACTWORLD = "factworld"
_TABLES = {".csv": ",", ".tsv": "\t"}

logger = logging.getLogger(__name__)


def load_records(
    source: str | Path,
    *,
    split: str = "test",
    form: str | None = None,
    start: int = 0,
    size: int | None = None,
    on_error: Literal["report", "raise"] = "report",
) -> Records:
    """Read a benchmark.

    Args:
        source: a file: a JSON list, JSON lines, CSV or TSV; or ``"factworld"``, the embedded world; or the name of a
            benchmark, a key of ``BENCHMARKS``, to be downloaded. A file of that name takes precedence.
        split: which part of a benchmark given by name.
        form: the records' form, a key of ``FORMS``; by default told by their keys.
        start: position in the file of the first record to read.
        size: number of the file's records to read, broken ones included; all by default.
        on_error: ``"report"`` leaves out what cannot be used and lists it in ``Records.problems``;
            ``"raise"`` refuses the file at the first record or probe that cannot be used.

    Raises:
        DataError: there is no such file, name, split or form; the file holds no list of records; or, if asked
            for, something in it cannot be used.
    """
    raws, path = _raw_records(source, split)
    return read_records(raws, path=path, form=form, start=start, size=size, on_error=on_error)


def read_records(
    raws: Sequence[Any],
    *,
    path: str = "records",
    form: str | None = None,
    start: int = 0,
    size: int | None = None,
    on_error: Literal["report", "raise"] = "report",
) -> Records:
    """Read records that are in memory already; the arguments are those of :func:`load_records`.

    Raises:
        DataError: as :func:`load_records` does.
    """
    if start < 0 or (size is not None and size < 0):
        raise DataError(f"start is {start} and size {size}; neither may be negative", path)
    if on_error not in ("report", "raise"):
        raise DataError(f"on_error is {on_error!r}; choose 'report' or 'raise'", path)
    chosen_form = recognise(raws, path) if form is None else form_named(form)
    problems: list[DataProblem] = []
    records: list[Record] = []
    stop = len(raws) if size is None else start + size
    for index, raw in enumerate(raws[start:stop], start):

        def report(severity: Severity, reason: str, index: int = index) -> None:
            if on_error == "raise" and severity is not Severity.NOTE:
                raise DataError(reason, path, index)
            problems.append(DataProblem(path, index, severity, reason))

        facts = chosen_form.facts(raw) if isinstance(raw, Mapping) else (raw,)
        read = [normalise(fact, index, chosen_form, report) for fact in facts]
        records += [record for record in read if record is not None]
    problems += _repeated_prompts(records, path)
    problems.sort(key=lambda problem: problem.index)
    result = Records(path, tuple(records), tuple(problems))
    lost = any(problem.severity is not Severity.NOTE for problem in problems)
    logger.log(logging.WARNING if lost else logging.INFO, "%s", result.summary())
    return result


def _raw_records(source: str | Path, split: str) -> tuple[list[Any], str]:
    path, name = Path(source), str(source).lower()
    if is_file(path):
        return _read_file(path), str(source)
    if name == _FACTWORLD:
        from easyedit_ice.factworld.world_records import records

        return records(split), f"{_FACTWORLD}/{split}"
    if name in BENCHMARKS:
        return download(name, split), f"{name}/{split}"
    names = [_FACTWORLD, *BENCHMARKS]
    raise DataError(f"{str(source)!r} is neither a file nor one of {', '.join(names)}.{did_you_mean(name, names)}")


def _read_file(path: Path) -> list[Any]:
    """The records of a table, of JSON lines, or of a JSON list, whatever the suffix of one that holds JSON."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"the file cannot be read: {error}", str(path)) from error
    except UnicodeDecodeError as error:
        raise DataError(f"the file is not UTF-8 text: {error}", str(path)) from error
    kind = path.suffix.lower()
    raws = table(text, _TABLES[kind], str(path)) if kind in _TABLES else _json(text, str(path))
    if not isinstance(raws, list) or not raws:
        held = "an empty list" if raws == [] else f"a {type(raws).__name__}"
        raise DataError(f"the file holds {held}; expected a list of records", str(path))
    return raws


def _json(text: str, path: str) -> Any:
    try:
        return parsed_json(text)
    except ValueError as error:
        first, *others = (line for line in text.splitlines() if line.strip())
        if others and first.rstrip().endswith("}"):
            return json_lines(text, path)
        raise DataError(f"the file is not valid JSON: {error}", path) from error


def _repeated_prompts(records: Sequence[Record], path: str) -> list[DataProblem]:
    first: dict[str, Record] = {}
    problems = []
    for record in records:
        earlier = first.setdefault(record["prompt"], record)
        if earlier is not record:
            same = "the same target" if earlier["target_new"] == record["target_new"] else "another target"
            reason = f"its prompt already stands in record {earlier['index']}, with {same}"
            problems.append(DataProblem(path, record["index"], Severity.NOTE, reason))
    return problems
