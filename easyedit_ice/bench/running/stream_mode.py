"""Sequential mode: facts accumulate, and all are asked again after so many and at the end.

Lines are written in one order that depends on the facts alone, and what the ledger holds already is skipped. So a run
that is killed goes on where it was, and ends with the lines of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.asking.lines import before_line, failure_line, later_line
from easyedit_ice.bench.running.batch_edit import Bench, edit_batch, measure, said_before
from easyedit_ice.bench.running.stream_state import StreamState
from easyedit_ice.bench.storage.line import UNDONE, Line, Place
from easyedit_ice.errors import TrainingDivergedError
from easyedit_ice.evaluation import Context
from easyedit_ice.runtime.batching import batches


@dataclass(frozen=True)
class Stream:
    """Settings of the sequential mode.

    Attributes:
        batch_size: facts written by one edit.
        retain_every: ask everything again after this many facts; 0: at the end only.
        checkpoint_every: save the state after this many edits.
    """

    batch_size: int = 1
    retain_every: int = 0
    checkpoint_every: int = 20

    def asks_again(self, earlier: int, step: int, end: int) -> bool:
        """Whether everything is asked again when the facts written go from ``earlier`` to ``step``."""
        return step == end or bool(self.retain_every and step // self.retain_every > earlier // self.retain_every)


def run_stream(
    bench: Bench,
    facts: Sequence[Fact],
    untouched: Sequence[Fact],
    stream: Stream,
    state: StreamState,
    at_end: Callable[[], object] = lambda: None,
) -> None:
    """Sequential mode: facts accumulate, and all are asked again at the end, the untouched ones with them.

    Args:
        bench: what it works with.
        facts: to write.
        untouched: to ask only.
        stream: settings.
        state: where the run goes on from.
        at_end: called while all edits are in force, before they are undone where that is to be checked.
    """
    saved = state.read()
    start = saved.step
    pool = _Pool(bench, facts, untouched)
    state.load(saved, bench.method)
    if start:
        bench.progress(start, ())
    for number, batch in enumerate(batches(facts, stream.batch_size), 1):
        earlier, step = batch[0].position, batch[-1].position + 1
        if step <= start:
            pool.written += [fact for fact in batch if Place("failed", fact.position, step) not in bench.ledger]
            continue
        bench.progress(len(batch), pool.write(batch, step))
        if stream.asks_again(earlier, step, len(facts)):
            pool.ask_again(step)
            if step == len(facts):
                pool.follow(step)
        if step == len(facts) or number % stream.checkpoint_every == 0:
            state.save(bench.method, step)
    at_end()
    pool.undo(len(facts))


class _Pool:
    """The facts of a stream: what was answered before any edit, and which are written by now."""

    def __init__(self, bench: Bench, facts: Sequence[Fact], untouched: Sequence[Fact]) -> None:
        self._bench = bench
        self._model = bench.method.model
        self._untouched = untouched
        answers = bench.examiner.ask_unedited(self._model, [*facts, *untouched])
        self._before, self._untouched_before = answers[: len(facts)], answers[len(facts) :]
        self._said = said_before(bench, self._model, facts)
        self._contexts: dict[int, Context] = {}
        self._everywhere: Context | None = None
        self.written: list[Fact] = []
        bench.ledger.append(
            [
                *map(before_line, facts, self._before),
                *(
                    later_line("untouched", fact, 0, was, was)
                    for fact, was in zip(untouched, self._untouched_before, strict=True)
                ),
                *bench.examiner.drift(self._model, 0, 0),
                *bench.examiner.rounding_floor(self._model),
                *bench.aftermath.unedited(self._model, bench.ledger),
            ]
        )

    def write(self, batch: Sequence[Fact], step: int) -> list[Line]:
        """Write a batch on top of the others, and ask its facts unless the ledger has their lines.

        An edit after which the model says what are no numbers is undone, so that the stream can go on.
        """
        bench, done = self._bench, edit_batch(self._bench, batch, step)
        lines, edited = list(done.failures), done.edited
        if edited is not None and not bench.ledger.holds(
            Place("immediate", fact.position, step) for fact in done.facts
        ):
            try:
                lines += measure(bench, done, step, [self._before[fact.position] for fact in done.facts])
            except TrainingDivergedError as error:
                bench.method.undo(edited)
                edited, lines = None, [*lines, *(failure_line(fact, step, error) for fact in done.facts)]
        if edited is not None:
            self._model, self._everywhere = edited.model, edited.everywhere
            self.written += done.facts
            self._contexts |= dict(zip((fact.position for fact in done.facts), edited.contexts, strict=True))
        bench.ledger.append(lines)
        return lines

    def ask_again(self, step: int) -> None:
        """Ask all facts written so far, and the untouched ones, unless the ledger has their lines."""
        bench = self._bench
        places = [Place("retained", fact.position, step) for fact in self.written]
        places += [Place("untouched", fact.position, step) for fact in self._untouched]
        if not bench.ledger.holds(places):
            contexts = [self._contexts.get(fact.position) for fact in self.written]
            now = bench.examiner.ask(self._model, self.written, contexts)
            beside = bench.examiner.ask(self._model, self._untouched, [self._everywhere] * len(self._untouched))
            bench.ledger.append(
                [
                    later_line("retained", fact, step, self._before[fact.position], answers)
                    for fact, answers in zip(self.written, now, strict=True)
                ]
                + [
                    later_line("untouched", fact, step, was, answers)
                    for fact, was, answers in zip(self._untouched, self._untouched_before, beside, strict=True)
                ]
            )
        if Place("drift", 0, step) not in bench.ledger:
            stated = [self._contexts[fact.position] for fact in self.written if fact.position in self._contexts]
            bench.ledger.append(bench.examiner.drift(self._model, 0, step, stated))
        bench.ledger.append(bench.aftermath.in_stream(self._model, step, bench.ledger))

    def follow(self, step: int) -> None:
        """See what treatments leave of all facts written, unless the ledger has it."""
        before = [self._before[fact.position] for fact in self.written]
        contexts = [self._contexts.get(fact.position) for fact in self.written]
        lines = self._bench.aftermath.after_stream(
            self._model, step, self._bench.ledger, lambda: (self.written, before, contexts)
        )
        self._bench.ledger.append(lines)

    def undo(self, step: int) -> None:
        """Take all facts out, and say what that leaves, unless the ledger does; where that is to be checked."""
        bench = self._bench
        if bench.undo_check is not None and self._said is not None and Place(UNDONE, 0, step) not in bench.ledger:
            bench.ledger.append([bench.undo_check.after_stream(bench.method, self._said, step)])
