"""The tables as LaTeX, for the package booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.tables import Table, tables

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def latex(results: Sequence[Results]) -> str:
    """A file to ``\\input``: every table that is not folded, as a ``table*`` with caption and label."""
    shown = [(result.group.name, table) for result in results for table in tables(result) if not table.folded]
    return "% needs \\usepackage{booktabs}\n\n" + "\n".join(_table(mode, table) for mode, table in shown)


def _table(mode: str, table: Table) -> str:
    columns = "l" * table.texts + "r" * (len(table.header) - table.texts)
    parted = table.texts > 1
    body = [("\\midrule\n" if parted and place and row[0] else "") + _row(row) for place, row in enumerate(table.rows)]
    lines = [
        "\\begin{table*}",
        "\\centering\\small",
        f"\\caption{{{escaped(f'{table.title} ({mode}). {table.note}')}}}",
        f"\\label{{tab:{table.name}}}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        _row(table.header),
        "\\midrule",
        *body,
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text in which nothing is a command."""
    return "".join(SPECIAL.get(character, character) for character in text)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"
