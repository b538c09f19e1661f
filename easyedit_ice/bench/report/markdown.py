"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.comparison import Comparison
from easyedit_ice.bench.report.headline import headline
from easyedit_ice.bench.report.plots import SURVIVAL, Plot
from easyedit_ice.bench.report.survival import survival
from easyedit_ice.bench.report.tables import Table, survival_table, tables


def markdown(comparison: Comparison, results: Sequence[Results], plots: Mapping[str, Sequence[Plot]]) -> str:
    """The whole report.

    Args:
        comparison: runs side by side.
        results: their numbers, by mode.
        plots: by mode, those that lie beside the file.
    """
    parts = ["# Comparison of knowledge editors"]
    if comparison.differences:
        parts.append("**These runs are not comparable.** They differ in:")
        parts.append(_list(comparison.differences))
    if comparison.notes:
        parts.append(_list(comparison.notes))
    if (survived := survival(results)) is not None:
        parts += ["## What survives", _list((survived.first, *survived.sentences)), *_pictures(plots, SURVIVAL)]
        parts.append(_section(survival_table(survived)))
    for result in results:
        parts.append(f"## {result.group.name.capitalize()}")
        if result.scored:
            parts.append(_list(headline(result)))
        parts += _pictures(plots, result.group.slug)
        parts += [_section(table) for table in tables(result)]
    return "\n\n".join(parts) + "\n"


def _pictures(plots: Mapping[str, Sequence[Plot]], of: str) -> list[str]:
    return [f"![{plot.title}]({plot.file})" for plot in plots.get(of, ())]


def _section(table: Table) -> str:
    rule = "| " + " | ".join("---" if index < table.texts else "---:" for index in range(len(table.header))) + " |"
    rows = [_row(table.header), rule, *map(_row, table.rows)]
    return "\n\n".join(filter(None, [f"### {table.title}", "\n".join(rows), table.note]))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _list(items: Sequence[str]) -> str:
    return "\n".join(f"- {_escaped(item)}" for item in items)


MARKUP = re.compile(r"[\\|*`~]|(?<!\w)_|_(?!\w)|\](?=[(\[:])|(?<=:)//")
"""What begins or ends something in Markdown: also a link, and an address that would become one by itself."""


def _escaped(text: str) -> str:
    """Text in which nothing is markup, neither Markdown's nor HTML's."""
    plain = re.sub(r"&(?=#?\w+;)", "&amp;", " ".join(text.split())).replace("<", "&lt;")
    return MARKUP.sub(lambda match: f"\\{match[0]}" if match[0] != "//" else "/\u200b/", plain)
