"""List algorithms, presets, and the meaning of every setting."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import fields

from easyedit_ice.cli.command_settings import algorithm_named
from easyedit_ice.cli.console import table
from easyedit_ice.cli.json_output import add_json, print_json
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS

OFTEN = ("layers", "target_modules", "rank", "lr", "num_steps", "max_drift", "chat", "seed")
"""Settings that are often turned, besides those that a verdict's advice names."""
FIRST = "Those that matter most"

Row = tuple[str, str, object, str]
"""Name, type, default and meaning of a setting."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("algorithm", nargs="?", help="its settings; without it, all algorithms and presets")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or one algorithm's settings."""
    if arguments.json:
        print_json(_as_values(arguments.algorithm))
    elif arguments.algorithm is None:
        rows = [(spec.name, spec.summary, ", ".join(_presets(spec.hparams_class))) for spec in ALGORITHMS.values()]
        print(table(("algorithm", "what it is", "presets"), rows))
        for name, why in ALGORITHMS.broken.items():
            print(f"\nLeft out: {name} of another package: {why}")
        print("\nThe settings of one: easyedit-ice hparams ALGORITHM")
    else:
        hparams_class = algorithm_named(arguments.algorithm).hparams_class
        for title, settings in grouped(hparams_class):
            print(f"{title}\n\n{table(('setting', 'type', 'default', 'meaning'), settings)}\n")
        print(f"One is changed by --set NAME=VALUE. Presets: {', '.join(_presets(hparams_class))}")
    return 0


def _as_values(name: str | None) -> dict[str, object]:
    if name is None:
        algorithms = [
            {"name": spec.name, "summary": spec.summary, "presets": _presets(spec.hparams_class)}
            for spec in ALGORITHMS.values()
        ]
        return {"algorithms": algorithms, "left_out": ALGORITHMS.broken}
    hparams_class = algorithm_named(name).hparams_class
    settings = [
        {"group": title, **dict(zip(("name", "type", "default", "meaning"), row, strict=True))}
        for title, rows in grouped(hparams_class)
        for row in rows
    ]
    return {"algorithm": name, "presets": _presets(hparams_class), "settings": settings}


def grouped(hparams_class: type[EditHyperParams]) -> Iterator[tuple[str, list[Row]]]:
    """All settings of an algorithm in groups with titles: those that matter most, and then by what they set."""
    rows = {row[0]: row for row in hparams_class.describe()}
    most = [name for name in _told(hparams_class) if name in rows]
    most += [name for name in OFTEN if name in rows and name not in most]
    yield FIRST, [rows.pop(name) for name in most]
    by_section: dict[type, list[Row]] = {}
    for field in fields(hparams_class):
        if field.name in rows:
            by_section.setdefault(_section_of(hparams_class, field.name), []).append(rows[field.name])
    general = by_section.pop(EditHyperParams, [])
    for section, of_section in by_section.items():
        yield _title(section), of_section
    yield _title(EditHyperParams), general


def _told(hparams_class: type[EditHyperParams]) -> list[str]:
    """The settings that a verdict's advice names, in its order."""
    advice = " ".join((hparams_class.stronger, hparams_class.gentler, hparams_class.wider))
    return list(dict.fromkeys(re.findall(r"\w+", advice)))


def _section_of(hparams_class: type[EditHyperParams], name: str) -> type:
    """The class that brings a setting in."""
    return next(kind for kind in reversed(hparams_class.__mro__) if name in vars(kind).get("__annotations__", {}))


def _title(section: type) -> str:
    return (section.__doc__ or section.__name__).partition("\n")[0].rstrip(".")


def _presets(hparams_class: type[EditHyperParams]) -> list[str]:
    return [preset.partition("/")[2] for preset in hparams_class.presets()]
