"""Numbers that JSON has no form for: infinite ones, and those that are none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

from easyedit_ice.bench.storage.line import Line


def not_finite(value: Any, path: str = "") -> Iterator[str]:
    """Where such numbers stand in nested dicts and lists, as ``answers.0.p_new``."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from not_finite(below, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for place, below in enumerate(value):
            yield from not_finite(below, f"{path}.{place}" if path else str(place))


def with_nulls(line: Line) -> Line:
    """A line with nulls in their place, and an entry ``not_finite`` that says where; as it was, if it has none."""
    places = list(not_finite(line))
    return cast(Line, {**_nulled(line), "not_finite": places}) if places else line


def _nulled(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _nulled(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [_nulled(below) for below in value]
    return value
