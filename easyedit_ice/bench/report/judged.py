"""How far a run's judge and exact match agree, in a report."""

from __future__ import annotations

from collections.abc import Sequence

from easyedit_ice.bench.report.comparison import Group
from easyedit_ice.bench.report.phrases import MISSING
from easyedit_ice.bench.report.reported_scores import baselines
from easyedit_ice.bench.storage.line import Line
from easyedit_ice.evaluation.judging import Agreement, agreement

HEADER = ("answers of", "number", "agree, %", "kappa", "only the judge says right", "only exact match says right")
NOTE = (
    "The judge is {judge}. It reads question, right answer and given answer of everything that an edit shall change; "
    "locality compares a model with itself, and is not judged. Exact match is the generated style's. Kappa is Cohen's: "
    "1 is full agreement, 0 what chance would give. A judge that agrees little, or that calls answers of the unedited "
    "model right, judges too badly for its scores to mean anything."
)


def judge_rows(group: Group, phase: str) -> list[tuple[str, ...]]:
    """Rows of :data:`HEADER`: of the unedited model, then of each method in a phase."""
    sources = [(name, lines) for name, _, lines in baselines(group, phase)]
    sources += [(run.label, run.at(phase)) for run in group.runs]
    return [(label, *_cells(agreement(pairs))) for label, lines in sources if (pairs := _pairs(lines))]


def note(group: Group) -> str:
    """Who judged, and what the table says."""
    judges = {_name(run.manifest["data"].get("judge") or {}) for run in group.runs}
    return NOTE.format(judge=" or ".join(sorted(judges - {""})))


def _name(entry: dict[str, str]) -> str:
    return " at ".join(entry[key] for key in ("model", "address") if entry.get(key))


def _pairs(lines: Sequence[Line]) -> list[tuple[bool, bool]]:
    answers = [answer for line in lines for answer in line.get("answers", ())]
    judged = [(answer["judged"], answer["right"]) for answer in answers if "judged" in answer]
    return [(said, right) for said, right in judged if said is not None]


def _cells(result: Agreement) -> tuple[str, ...]:
    kappa = MISSING if result.kappa is None else f"{result.kappa:.2f}"
    return str(result.cases), f"{100 * result.share:.1f}", kappa, str(result.only_judge), str(result.only_exact)
