"""What a report says of methods and words to readers who do not know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from easyedit_ice.bench.report.brief import in_short
from easyedit_ice.bench.report.comparison import Comparison, Group
from easyedit_ice.bench.report.phrases import MISSING
from easyedit_ice.bench.report.reading_runs import Run
from easyedit_ice.easyedit.methods.summaries import SUMMARIES
from easyedit_ice.edit.registry import ALGORITHMS

IN_THE_QUESTION = {
    "Prompt": "the new fact stands before the question; no weight changes",
    "Retrieval": "of all new facts the likest to the question is found and stands before it; no weight changes",
}
WHOSE = {"ours": "easyedit_ice", "easyedit": "EasyEdit", "context": "in the question", "retrieval": "in the question"}
TERMS = {
    "rewrite": "the fact's own prompt: is the new answer given?",
    "rephrase": "the same in other words",
    "portability": "what follows from the new fact, such as another question about its new answer",
    "locality": "questions about other facts: is the answer what it was before the edit?",
    "known kept": "share of other facts the unedited model answers right that the edited one still does",
    "probe": "a harder question made from the record, such as multiple choice; its table says what is right",
    "success": "mean of rewrite, rephrase and portability, as far as they were asked",
    "generated": "the model writes freely; right if that is the answer",
    "teacher-forced": "share of the answer's tokens that are the likeliest, given the right ones before; easier",
    "probability": "share of questions in which the wanted answer is likelier than the other one",
    "S": "harmonic mean of the probability style's rewrite, rephrase and locality",
    "single": "each fact is written to the unedited model, measured and undone",
    "sequential": "facts stay and add up; all are asked again at the end",
    "[a, b]": "95 % interval over facts: where the value would plausibly lie on other facts of the same kind",
}
"""Words of a report, in plain words."""


def described(algorithm: str) -> str:
    """A method in a line; empty for one that is not known here."""
    if algorithm in IN_THE_QUESTION:
        return IN_THE_QUESTION[algorithm]
    return ALGORITHMS[algorithm].summary if algorithm in ALGORITHMS else SUMMARIES.get(algorithm, "")


def methods(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Label, whose it is, and what it does, of every method."""
    runs = {run.label: run for run in comparison.runs}
    return [(label, _whose(runs[label]), described(runs[label].manifest["algorithm"])) for label in comparison.labels]


def circumstances(group: Group) -> list[tuple[str, str]]:
    """What the numbers of a mode are of: names and values."""
    manifests = [run.manifest for run in group.runs]
    first = manifests[0]
    model, parameters = first["model"], first["model"].get("parameters")
    size = f" ({in_short(parameters)} parameters)" if parameters else ""
    started = sorted(manifest["started"][:10] for manifest in manifests if manifest.get("started"))
    dates = " to ".join(dict.fromkeys((started[0], started[-1]))) if started else MISSING
    return [
        ("model", f"{_each(manifests, 'model', 'name')}{size}, {model.get('dtype', '?')}"),
        ("facts", f"{first['data']['facts']} of {_each(manifests, 'data', 'source')}"),
        ("machine", f"{_each(manifests, 'model', 'device')}, threads: {_each(manifests, 'threads')}"),
        ("versions", f"easyedit_ice {_each(manifests, 'versions', 'easyedit_ice')}, {_each(manifests, 'host')}"),
        ("date", dates),
    ]


def _whose(run: Run) -> str:
    return WHOSE.get(run.manifest.get("kind", ""), MISSING)


def _each(manifests: Sequence[Mapping[str, Any]], *path: str) -> str:
    """The values of an entry, each once."""
    values: dict[str, None] = {}
    for manifest in manifests:
        value: Any = manifest
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        values[MISSING if value is None else str(value)] = None
    return " and ".join(values)
