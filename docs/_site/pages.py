"""Pages of the site that are made from the code: the reference, all settings, and all errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from easyedit_ice import ALGORITHMS, errors

HERE = Path(__file__).parent
DOCS = "docs"


def made_pages() -> Iterator[tuple[str, str]]:
    """Path within the site and Markdown of each."""
    for name, page in api_pages().items():
        yield f"{DOCS}/api/{name}.md", _api(page)
    yield f"{DOCS}/settings.md", _settings()
    yield f"{DOCS}/troubleshooting.md", _troubleshooting()


def api_pages() -> dict[str, dict[str, Any]]:
    """The pages of the reference, as ``api.yml`` lists them."""
    return yaml.safe_load((HERE / "api.yml").read_text(encoding="utf-8"))


def remedies() -> dict[str, str]:
    """What to do about each error, by its class's name."""
    return yaml.safe_load((HERE / "remedies.yml").read_text(encoding="utf-8"))


def error_classes() -> list[type[errors.EasyEditIceError]]:
    """Every class of ``errors.py``, in its order."""
    classes = [own for _, own in inspect.getmembers(errors, inspect.isclass) if own.__module__ == errors.__name__]
    return sorted(classes, key=lambda own: inspect.getsourcelines(own)[1])


def _api(page: dict[str, Any]) -> str:
    names = "\n\n".join(f"::: {name}" for name in page["names"])
    return f"# {page['title']}\n\n{page['about']}\n\n{names}\n"


def _settings() -> str:
    parts = [
        "# All settings\n",
        "What `easyedit-ice hparams NAME` prints. They are given as keywords of `from_hparams`, in a YAML file, or by "
        "`--set NAME=VALUE`.\n",
    ]
    for name, spec in ALGORITHMS.items():
        rows = [
            f"| `{setting}` | {kind.replace('|', 'or')} | `{default!r}` | {_cell(text)} |"
            for setting, kind, default, text in spec.hparams_class.describe()
        ]
        table = "\n".join(["| setting | type | default | |", "| --- | --- | --- | --- |", *rows])
        parts.append(f"## {name}\n\n`{spec.hparams_class.__name__}`\n\n{table}\n")
    return "\n".join(parts)


def _troubleshooting() -> str:
    parts = [
        "# Errors\n",
        "Everything the package raises on purpose, by name. All are `EasyEditIceError`, and all messages state the "
        "value, what was expected, and what to do. Commands end with status 2 and print the name and the message; "
        "model and files are as they were.\n",
    ]
    advice = remedies()
    for own in error_classes():
        bases = ", ".join(f"`{base.__name__}`" for base in own.__bases__ if base is not Exception)
        kind = f"\n\nIt is also caught as {bases}." if bases else ""
        when = inspect.getdoc(own).partition("\n\n")[0].replace("``", "`")
        parts.append(f"## {own.__name__}\n\n{when}{kind}\n\n{advice[own.__name__].strip()}\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|").replace("<", "&lt;")
