"""Single and batch mode: every batch is written to the base model and undone.

Lines are written in one order that depends on the facts alone, and what the ledger holds already is skipped. So a run
that is killed goes on where it was, and ends with the lines of one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence

from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.asking.lines import before_line, failure_line
from easyedit_ice.bench.running.batch_edit import Bench, edit_batch, measure, said_before, undo
from easyedit_ice.bench.storage.ledger import Ledger
from easyedit_ice.bench.storage.line import PHASES, Line, Place
from easyedit_ice.errors import TrainingDivergedError
from easyedit_ice.runtime.batching import batches


def run_apart(bench: Bench, facts: Sequence[Fact], batch_size: int) -> None:
    """Single and batch mode: each batch is written to the base model, measured, and undone."""
    for batch in batches(facts, batch_size):
        lines: list[Line] = []
        if not _is_done(bench.ledger, batch):
            unordered = _apart(bench, batch, batch[0].position // batch_size)
            lines = sorted(unordered, key=lambda line: (line["position"], PHASES.index(line["phase"])))
            bench.ledger.append(lines)
        bench.progress(len(batch), lines)


def _apart(bench: Bench, batch: Sequence[Fact], place: int) -> list[Line]:
    """All lines of the batch at a place; it is written to the base model and undone. The first's say how that was."""
    step = len(batch)
    before = bench.examiner.ask_unedited(bench.method.model, batch)
    unedited: list[Line] = []
    if place == 0:
        unedited += bench.examiner.drift(bench.method.model, 0, 0)
        unedited += bench.examiner.rounding_floor(bench.method.model)
        unedited += bench.aftermath.unedited(bench.method.model, bench.ledger)
    by_position = {fact.position: answers for fact, answers in zip(batch, before, strict=True)}
    said = said_before(bench, bench.method.model, batch)
    done = edit_batch(bench, batch, step)
    lines = [*map(before_line, batch, before), *unedited, *done.failures]
    if done.edited is not None:
        try:
            lines += measure(bench, done, step, [by_position[fact.position] for fact in done.facts])
            lines += bench.examiner.drift(done.edited.model, batch[0].position, step, done.edited.contexts)
            was = [by_position[fact.position] for fact in done.facts]
            lines += bench.aftermath.after_edit(done.edited, done.facts, was, place, bench.ledger)
        except TrainingDivergedError as error:
            lines += [failure_line(fact, step, error) for fact in done.facts]
        except BaseException:
            bench.method.undo(done.edited)
            raise
        lines += undo(bench, done.edited, said, batch[0].position, step)
    return lines


def _is_done(ledger: Ledger, batch: Sequence[Fact]) -> bool:
    """Whether the lines of all of a batch's facts are there."""
    return all(
        any(Place(phase, fact.position, len(batch)) in ledger for phase in ("immediate", "failed")) for fact in batch
    )
