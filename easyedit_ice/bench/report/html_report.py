"""The report as one page of HTML that needs nothing beside it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from easyedit_ice.bench.report.about import TERMS, circumstances, methods
from easyedit_ice.bench.report.analysis import Results
from easyedit_ice.bench.report.case_studies import cases
from easyedit_ice.bench.report.charts import Style, drawn_as
from easyedit_ice.bench.report.comparison import Comparison
from easyedit_ice.bench.report.headline import contenders, headline
from easyedit_ice.bench.report.plots import Plot, picture
from easyedit_ice.bench.report.survival import survival
from easyedit_ice.bench.report.tables import tables


def page(comparison: Comparison, results: Sequence[Results], plots: Mapping[str, Sequence[Plot]]) -> str:
    """The whole report, with every case to browse.

    All text of runs is escaped: by the template in the page, and within the embedded JSON so that no text ends it.

    Args:
        comparison: runs side by side.
        results: their numbers, by mode.
        plots: by mode.
    """
    environment = Environment(
        loader=PackageLoader("easyedit_ice.bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    environment.filters["data_uri"] = lambda svg: f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
    drawn = drawn_as(comparison.labels)
    return environment.get_template("page.html.j2").render(
        comparison=comparison,
        survival=survival(results),
        verdicts=[_verdict(result, drawn) for result in results if result.scored],
        methods=methods(comparison),
        about={label: what for label, _, what in methods(comparison)},
        terms=TERMS,
        colour={label: style.colour for label, style in drawn.items()},
        modes=[(result.group, tables(result), plots.get(result.group.slug, ())) for result in results],
        cases=cases(results),
        colours=[style.colour for style in drawn.values()],
        manifests=[(run, json.dumps(run.manifest, indent=2, ensure_ascii=False)) for run in comparison.runs],
    )


def _verdict(result: Results, drawn: Mapping[str, Style]) -> dict[str, Any]:
    """What the first screen says of a mode."""
    first, *rest = headline(result)
    picture_of = picture(result, drawn) if contenders(result) else None
    return {
        "group": result.group,
        "circumstances": circumstances(result.group),
        "first": first,
        "rest": rest,
        "picture": picture_of,
    }
