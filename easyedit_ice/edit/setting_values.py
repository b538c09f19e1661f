"""Values of settings: plain ones, of a size that means something, and within their bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from easyedit_ice.edit.sections import type_name
from easyedit_ice.errors import HyperParamsError, did_you_mean
from easyedit_ice.runtime.untrusted import is_unicode, shown

_MOST, _MOST_SEED = 10**7, 2**63 - 1
"""Greatest whole number where a setting names none, far beyond what a count may be; and greatest seed."""
_LARGEST = 1e30
"""Greatest number: a model computes in single precision, which ends at 3.4e38, and divides some settings by others."""
_MOST_VALUES, _DEEPEST = 10_000, 8
"""More values, or more deeply nested ones, are no file of settings."""


def refuse_odd(values: Mapping[str, Any], source: str) -> None:
    """Refuse what is no plain value: what OmegaConf would fill in from elsewhere, and structures without end.

    Raises:
        HyperParamsError: with the setting and its value.
    """
    left = [(name, value, 0) for name, value in values.items()]
    for count in range(1, _MOST_VALUES + 2):
        if not left:
            return
        name, value, depth = left.pop()
        inner = list(value.values()) if isinstance(value, Mapping) else list(value) if _is_list(value) else []
        if depth > _DEEPEST or count > _MOST_VALUES or len(inner) > _MOST_VALUES:
            raise HyperParamsError(f"{source}: {name} is nested too deeply, or holds itself; give plain values")
        if isinstance(value, str) and ("${" in value or value == "???" or not is_unicode(value)):
            raise HyperParamsError(
                f"{source}: {name} is {shown(value)}; settings are plain values, and nothing is filled in from the "
                "environment or from other settings"
            )
        left += [(name, entry, depth + 1) for entry in inner]


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, set))


def check_bounds(field: dataclasses.Field[Any], value: Any) -> None:
    """Refuse a setting that is out of its bounds, or no boolean where one is meant.

    Args:
        field: of a dataclass of settings, with bounds in its metadata.
        value: ``None`` is left to the field's type.

    Raises:
        HyperParamsError: with the value, the bound, and what the setting does.
    """
    bounds = field.metadata
    if value is None:
        return
    if type_name(field).partition(" ")[0] == "bool" and not isinstance(value, bool):
        raise HyperParamsError(f"{field.name} is {shown(value)}; expected true or false: {field.metadata['help']}")
    if "choices" in bounds and value not in bounds["choices"]:
        names = [str(choice) for choice in bounds["choices"]]
        meant = did_you_mean(str(value), names)
        raise HyperParamsError(
            f"{field.name} is {shown(value)}; expected one of {', '.join(names)}{'.' if meant else ''}{meant}"
        )
    most = _MOST_SEED if "seed" in field.name else _MOST
    _check_numbers(field, value, bounds.get("high", most))
    limits: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
        ("low", lambda limit: value >= limit, "at least"),
        ("high", lambda limit: value <= limit, "at most"),
        ("above", lambda limit: value > limit, "greater than"),
    )
    for bound, holds, words in limits:
        try:
            within = bound not in bounds or holds(bounds[bound])
        except TypeError:
            within = False
        if not within:
            raise HyperParamsError(
                f"{field.name} is {shown(value)}; expected {words} {bounds[bound]}: {field.metadata['help']}"
            )


def _check_numbers(field: dataclasses.Field[Any], value: Any, most: float) -> None:
    """Refuse numbers that are none, and whole numbers beyond what a setting could mean, also within lists."""
    for entry in value if _is_list(value) else [value]:
        if _is_list(entry):
            _check_numbers(field, entry, most)
        elif isinstance(entry, int) and abs(entry) > most:
            raise HyperParamsError(f"{field.name} is {shown(entry)}; expected at most {most}: {field.metadata['help']}")
        elif isinstance(entry, float) and not math.isfinite(entry):
            raise HyperParamsError(f"{field.name} is {entry}; expected a finite number: {field.metadata['help']}")
        elif isinstance(entry, float) and abs(entry) > _LARGEST:
            raise HyperParamsError(
                f"{field.name} is {entry}, and models compute with numbers of at most 3.4e38; expected at most "
                f"{_LARGEST:g}, and far less to be of use: {field.metadata['help']}"
            )
