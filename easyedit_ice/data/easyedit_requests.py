"""Records as EasyEdit's editors take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from typing_extensions import NotRequired

from easyedit_ice.data.records import ProbeRecords, Record
from easyedit_ice.errors import DataError


class FlatProbes(TypedDict):
    """Probes of a kind as EasyEdit takes them: two parallel lists."""

    prompt: list[str]
    ground_truth: list[str]


class RequestDict(TypedDict):
    """A fact as ``BaseEditor.edit_requests`` takes it; what its record lacks is absent."""

    prompt: str
    target_new: str
    ground_truth: str | None
    subject: NotRequired[str]
    rephrase_prompt: NotRequired[str]
    context: NotRequired[Any]
    locality: dict[str, FlatProbes]
    portability: dict[str, FlatProbes]


def to_requests(records: Iterable[Record]) -> list[RequestDict]:
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


def _request(record: Record) -> RequestDict:
    request: RequestDict = {
        "prompt": record["prompt"],
        "target_new": record["target_new"],
        "ground_truth": record["ground_truth"][0] if "ground_truth" in record else None,
        "locality": _flat(record["locality"]),
        "portability": _flat(record["portability"]),
    }
    if "subject" in record:
        request["subject"] = record["subject"]
    if "rephrase_prompt" in record:
        request["rephrase_prompt"] = record["rephrase_prompt"]
    if "context" in record:
        request["context"] = record["context"]
    return request


def _flat(kinds: ProbeRecords) -> dict[str, FlatProbes]:
    return {
        kind: {
            "prompt": [probe["prompt"] for probe in probes],
            "ground_truth": [probe["ground_truth"][0][0] for probe in probes],
        }
        for kind, probes in kinds.items()
    }


def _parallel(sections: Sequence[dict[str, FlatProbes]]) -> dict[str, dict[str, list[list[str] | None]]]:
    kinds = dict.fromkeys(kind for section in sections for kind in section)
    return {
        kind: {
            "prompt": [section[kind]["prompt"] if kind in section else None for section in sections],
            "ground_truth": [section[kind]["ground_truth"] if kind in section else None for section in sections],
        }
        for kind in kinds
    }


def _require_subjects(records: Sequence[Record]) -> None:
    without = [
        record["index"] for record in records if "subject" not in record or record["subject"] not in record["prompt"]
    ]
    if without:
        raise DataError(
            f"records {without} have no subject in their prompt, which BaseEditor.edit refuses; leave them "
            "out, or call editor.edit_requests(to_requests(records))"
        )
