"""The keys of a fact as a dict: those that editing reads, other names of theirs, and those that it passes over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from easyedit_ice.errors import UnknownKeyError, did_you_mean

KEYS = (
    "prompt",
    "subject",
    "target_new",
    "ground_truth",
    "rephrase_prompt",
    "locality",
    "portability",
    "context",
)
"""Of a fact as a dict; all but ``prompt`` and ``target_new`` may be left out."""
OTHER_NAMES = {"target": "target_new", "rephrase": "rephrase_prompt"}
"""What keys are called elsewhere; files of facts may have these."""
NOTES = ("id", "case_id", "index", "relation", "relation_id", "target_new_id", "ground_truth_id", "cond")
"""Keys that published files have, and that say nothing about how a fact is edited."""


def for_editors(records: Any) -> Any:
    """What editors read of EasyEdit's requests, which hold what its other methods and its evaluation read as well."""
    if isinstance(records, (str, Mapping)) or not isinstance(records, Iterable):
        return records  # refused later, and told as it is
    return [
        {key: record[key] for key in KEYS if key in record} if isinstance(record, Mapping) else record
        for record in records
    ]


def refuse_unknown(record: Mapping[str, Any], index: int) -> None:
    """Refuse keys that would be passed over in silence, such as an answer under another name.

    Raises:
        UnknownKeyError: there is one; with the index of the fact.
    """
    for key in record:
        if key in KEYS or key in NOTES:
            continue
        name = OTHER_NAMES.get(str(key))
        meant = f" It is called {name!r} here." if name else did_you_mean(str(key), KEYS)
        raise UnknownKeyError(f"the key {key!r} is not known.{meant} A request has: {', '.join(KEYS)}", index)
