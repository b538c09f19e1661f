"""What strangers give: JSON, YAML, templates and names that ask for more than a file of settings or facts would."""

from __future__ import annotations

import json
from string import Formatter
from typing import Any


def parsed_json(text: str) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: it is not JSON, or is nested more deeply than Python reads.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply to be read") from None


def parsed_yaml(text: str) -> Any:
    """What a YAML text holds; no tag makes an object of it.

    Raises:
        ValueError: it is not YAML, or is nested more deeply than Python reads.
    """
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("it is nested too deeply to be read") from None


def fields_of(template: str) -> set[str]:
    """Names in the braces of a template, which may hold nothing but names: a format can ask for any amount of memory.

    Raises:
        ValueError: a brace is unpaired, or holds a format, a conversion, or a part of what is named.
    """
    names = set()
    for _, name, form, conversion in Formatter().parse(template):
        if name is None:
            continue
        if form or conversion or (name and not name.isidentifier()):
            told = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise ValueError(f"{{{told}}} is no plain name")
        names.add(name)
    return names


def is_unicode(text: str) -> bool:
    """Whether a text can be written at all: JSON may hold half a surrogate pair, which no tokenizer takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_file(path: Any) -> bool:
    """Whether there is such a file; names that no file can have name none."""
    try:
        return bool(path.is_file())
    except (OSError, ValueError):
        return False


def shown(value: Any, most: int = 80) -> str:
    """A value as a message shows it."""
    try:
        told = repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__} too large to show"
    return told if len(told) <= most else f"{told[:most]}…"
