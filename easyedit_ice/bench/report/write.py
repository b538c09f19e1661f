"""Writing a report, in all the forms asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from easyedit_ice.bench.report.analysis import analyse
from easyedit_ice.bench.report.charts import drawn_as
from easyedit_ice.bench.report.comparison import Comparison
from easyedit_ice.bench.report.html_report import page
from easyedit_ice.bench.report.latex import latex
from easyedit_ice.bench.report.longform import differences_csv, scores_csv
from easyedit_ice.bench.report.markdown import markdown
from easyedit_ice.bench.report.plots import all_plots
from easyedit_ice.errors import RunConfigError, did_you_mean

FORMATS = ("md", "csv", "tex", "png", "html")


def write_report(comparison: Comparison, folder: str | Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a report; files of its names are replaced.

    Args:
        comparison: runs side by side.
        folder: where to; made if it is not there.
        formats: some of ``md`` (report.md), ``csv`` (scores.csv, differences.csv), ``tex`` (tables.tex), ``png`` (plots
            by mode, and what survives where probes were asked) and ``html`` (report.html, with the plots inside).

    Returns:
        The files written.

    Raises:
        RunConfigError: an unknown format, or none.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        hint = did_you_mean(unknown[0], FORMATS) if unknown else ""
        raise RunConfigError(f"formats are {list(formats)}; expected some of {', '.join(FORMATS)}.{hint}")
    results = analyse(comparison)
    drawn = drawn_as(comparison.labels)
    pictures = all_plots(results, drawn) if {"png", "html"} & set(formats) else {}
    files: dict[str, str | bytes] = {}
    if "md" in formats:
        files["report.md"] = markdown(comparison, results, pictures if "png" in formats else {})
    if "csv" in formats:
        files |= {"scores.csv": scores_csv(results), "differences.csv": differences_csv(results)}
    if "tex" in formats:
        files["tables.tex"] = latex(results)
    if "png" in formats:
        files |= {plot.file: plot.png for group in pictures.values() for plot in group}
    if "html" in formats:
        files["report.html"] = page(comparison, results, pictures)
    return [_write(Path(folder) / name, content) for name, content in files.items()]


def _write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
