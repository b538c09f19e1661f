"""Records as EasyEdit's editors take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from easyedit_ice.data.records import Record
from easyedit_ice.errors import DataError

_Kinds = dict[str, dict[str, list[str]]]


def to_requests(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Requests for ``BaseEditor.edit_requests``, which takes any record, on the release and at head.

    Each probe's answer is the first alias of its first answer. Kinds, subjects and rephrases that a record
    lacks are absent.
    """
    return [_request(record) for record in records]


def to_edit_kwargs(records: Sequence[Record]) -> dict[str, Any]:
    """Keyword arguments for ``BaseEditor.edit``: parallel lists, with ``None`` where a record lacks a part.

    Both EasyEdits want each record's subject in its prompt; :func:`to_requests` has no such limit.

    Raises:
        DataError: there are no records, or some have subjects and others have none in their prompt.
    """
    requests = to_requests(records)
    if not requests:
        raise DataError("there are no records to edit; give at least one")
    kwargs: dict[str, Any] = {
        "prompts": [request["prompt"] for request in requests],
        "target_new": [request["target_new"] for request in requests],
    }
    if any(request["ground_truth"] is not None for request in requests):
        kwargs["ground_truth"] = [request["ground_truth"] for request in requests]
    if any("subject" in request for request in requests):
        _require_subjects(records)
        kwargs["subject"] = [request["subject"] for request in requests]
    if any("rephrase_prompt" in request for request in requests):
        kwargs["rephrase_prompts"] = [request.get("rephrase_prompt") for request in requests]
    for section in ("locality", "portability"):
        inputs = _parallel([request[section] for request in requests])
        if inputs:
            kwargs[f"{section}_inputs"] = inputs
    return kwargs


def _request(record: Record) -> dict[str, Any]:
    request = {key: record[key] for key in ("prompt", "target_new")}
    request["ground_truth"] = record.get("ground_truth", [None])[0]
    request |= {key: record[key] for key in ("subject", "rephrase_prompt", "context") if key in record}
    return request | {section: _flat(record[section]) for section in ("locality", "portability")}


def _flat(kinds: dict[str, list[Record]]) -> _Kinds:
    return {
        kind: {
            "prompt": [probe["prompt"] for probe in probes],
            "ground_truth": [probe["ground_truth"][0][0] for probe in probes],
        }
        for kind, probes in kinds.items()
    }


def _parallel(sections: Sequence[_Kinds]) -> dict[str, dict[str, list[list[str] | None]]]:
    kinds = dict.fromkeys(kind for section in sections for kind in section)
    parts = ("prompt", "ground_truth")
    return {kind: {part: [section.get(kind, {}).get(part) for section in sections] for part in parts} for kind in kinds}


def _require_subjects(records: Sequence[Record]) -> None:
    without = [
        record["index"] for record in records if "subject" not in record or record["subject"] not in record["prompt"]
    ]
    if without:
        raise DataError(
            f"records {without} have no subject in their prompt, which BaseEditor.edit refuses; leave them "
            "out, or call editor.edit_requests(to_requests(records))"
        )
