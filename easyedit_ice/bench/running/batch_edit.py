"""The edit of one batch: written, measured and undone, in whatever mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from easyedit_ice.bench.asking.aftermath import Aftermath
from easyedit_ice.bench.asking.examiner import Examiner
from easyedit_ice.bench.asking.fact_answers import Answers
from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.asking.lines import edit_line, failure_line
from easyedit_ice.bench.asking.undo_check import Said, UndoCheck
from easyedit_ice.bench.methods import Edited, Method
from easyedit_ice.bench.storage.finite_lines import not_finite
from easyedit_ice.bench.storage.ledger import Ledger
from easyedit_ice.bench.storage.line import Line
from easyedit_ice.bench.telemetry.cost import Cost, Meter
from easyedit_ice.errors import TrainingDivergedError


@dataclass(frozen=True)
class Bench:
    """What a run works with.

    Attributes:
        method: edits.
        examiner: asks.
        undo_check: compares what is left of edits that were undone; none where that is not asked for.
        ledger: keeps what was found.
        seed: of every edit.
        meter: of what edits cost.
        progress: is told how many facts are done, and the lines written of them.
        aftermath: measures whole states of the model.
    """

    method: Method
    examiner: Examiner
    undo_check: UndoCheck | None
    ledger: Ledger
    seed: int
    meter: Meter
    progress: Callable[[int, Sequence[Line]], None]
    aftermath: Aftermath


@dataclass(frozen=True)
class BatchEdit:
    """What became of a batch.

    Attributes:
        facts: those that were written.
        edited: the edit in force; none if no fact could be written.
        cost: of the edit.
        failures: a line for each fact that could not be written.
    """

    facts: Sequence[Fact]
    edited: Edited | None
    cost: Cost
    failures: list[Line] = field(default_factory=list)


def edit_batch(bench: Bench, batch: Sequence[Fact], step: int) -> BatchEdit:
    """Write a batch; a fact at fault is left out and the others are tried again."""
    facts = list(batch)
    failures: list[Line] = []
    while facts:
        try:
            with bench.meter.measured() as cost:
                edited = bench.method.apply([fact.request for fact in facts], bench.seed)
            return BatchEdit(facts, edited, cost, failures)
        except bench.method.fact_errors as error:
            index = getattr(error, "index", None)
            at_fault = list(facts) if index is None else [facts[index]]
            failures += [failure_line(fact, step, error) for fact in at_fault]
            facts = [fact for fact in facts if fact not in at_fault]
        except Exception as error:
            error.add_note(f"while it wrote {', '.join(repr(fact.request['prompt']) for fact in facts[:3])}")
            raise
    return BatchEdit((), None, Cost(), failures)


def measure(bench: Bench, done: BatchEdit, step: int, before: Sequence[Answers]) -> list[Line]:
    """Lines of the facts of an edit that is in force.

    Raises:
        TrainingDivergedError: the edit made weights, or answers to its own facts, that are infinite or not numbers.
    """
    edited, count = done.edited, len(done.facts)
    if edited is None:
        return []
    norms = _norms(edited)
    _refuse_diverged(norms, "weights")
    after = bench.examiner.ask(edited.model, done.facts, edited.contexts)
    lines = [
        edit_line(fact, step, was, answers, norms, done.cost, count)
        for fact, was, answers in zip(done.facts, before, after, strict=True)
    ]
    for line in lines:
        _refuse_diverged({key: line.get(key) for key in ("scores", "fluency", "answers")}, "answers")
    return lines


def said_before(bench: Bench, model: Any, facts: Sequence[Fact]) -> Said | None:
    """What the unedited model says, to compare with once edits are undone; none where that is not to be checked."""
    return None if bench.undo_check is None else bench.undo_check.before(model, facts)


def undo(bench: Bench, edited: Edited, said: Said | None, position: int, step: int) -> list[Line]:
    """Undo an edit; the line of what that left, where it is to be checked."""
    if bench.undo_check is None or said is None:
        bench.method.undo(edited)
        return []
    return [bench.undo_check.after_edit(bench.method, edited, said, position, step)]


def _refuse_diverged(values: Mapping[str, Any], what: str) -> None:
    places = list(not_finite(dict(values)))
    if places:
        raise TrainingDivergedError(
            f"the edit left {what} that are infinite or not numbers ({places[0]}{', ...' if places[1:] else ''}), and "
            "was undone; lower the learning rate, or choose a wider type of weights (model.dtype)"
        )


def _norms(edited: Edited) -> Mapping[str, list[float]]:
    """Frobenius norm of each changed tensor's change, and its ratio to the norm of the tensor as it was."""
    now = dict(edited.model.named_parameters()) if edited.originals else {}
    norms = {}
    for name, original in edited.originals.items():
        was = original.detach().float()
        change = (now[name].detach().float().to(was.device) - was).norm().item()
        norms[name] = [change, change / was.norm().item()]
    return norms
