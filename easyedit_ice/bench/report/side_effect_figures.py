"""What a run costs and breaks besides its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from easyedit_ice.bench.report.phrases import KNOWN
from easyedit_ice.bench.report.reading_runs import Run
from easyedit_ice.bench.storage.line import ROUNDING, Line
from easyedit_ice.evaluation import Interval
from easyedit_ice.evaluation.intervals import interval


def side_figures(run: Run) -> dict[str, Interval]:
    """Means over edits, by the names of :data:`wording.FIGURES`, where they were measured.

    Fluency, perplexity, KL and norms are of the state after the last edit of a stream, else after each edit. Norms are
    of the change from the unedited model: Frobenius' over all tensors, and the largest over the tensors in per cent of
    the tensor's own norm. Seconds and memory are medians over edits, which a busy machine and a pause move least, and
    without the first edit after each start, which also loads libraries; both have no interval.
    """
    edits = run.at("immediate")
    changed = edits[-1:] if run.is_sequential else edits
    norms = [list(norm.values()) for line in changed if (norm := line.get("update", {}).get("norm"))]
    costs = steady([line["cost"] for line in edits if "cost" in line])
    columns = {
        "fluency": _values(run.at("retained") if run.is_sequential else edits, "fluency"),
        "perplexity": _values(_drift(run), "perplexity"),
        "text_perplexity": _values(_drift(run), "text_perplexity"),
        "kl": _values(_drift(run), "kl"),
        "update_norm": [math.hypot(*(pair[0] for pair in norm)) for norm in norms],
        "relative_update_norm": [100 * max(pair[1] for pair in norm) for norm in norms],
    }
    figures = {name: interval(values) for name, values in columns.items() if values}
    for name in ("edit_seconds", "peak_mib"):
        if values := _values(costs, name):
            figures[name] = Interval(median(values), math.nan, math.nan, len(values))
    return figures


def steady(costs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What edits cost, without the first after each start; all of it where there is nothing else."""
    return [cost for cost in costs if not cost.get("first")] or list(costs)


def unedited_figures(run: Run) -> dict[str, float]:
    """Fluency and perplexities before any edit, where they were measured."""
    unedited = [line for line in run.at("drift") if line["step"] == 0]
    columns = {"fluency": _values(run.at("before"), "fluency")}
    columns |= {name: _values(unedited, name) for name in ("perplexity", "text_perplexity")}
    return {name: fmean(values) for name, values in columns.items() if values}


def rounding_floor(run: Run) -> dict[str, float]:
    """Perplexities and KL of the unedited model after a change that means nothing, and the share of known facts that it
    keeps; of a run whose model has packed weights."""
    for line in run.at(ROUNDING):
        figures = {name: line[name] for name in ("perplexity", "text_perplexity", "kl") if line.get(name) is not None}
        known = line.get("known")
        return figures | ({KNOWN: 1 - len(known["lost"]) / known["facts"]} if known else {})
    return {}


def _drift(run: Run) -> list[Line]:
    """Drift after the last edit of a stream, else after each edit."""
    if not run.is_sequential:
        return [line for line in run.at("drift") if line["step"] > 0]
    return [line for line in run.at("drift") if run.steps and line["step"] == run.steps[-1]]


def _values(lines: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [line[name] for line in lines if line.get(name) is not None]
