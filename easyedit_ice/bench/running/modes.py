"""How facts are put together: one by one, in batches, or in a stream in which they accumulate.

Every mode writes its lines in one order that depends on the facts alone, and skips what the ledger holds already. So a
run that is killed goes on where it was, and ends with the lines of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from easyedit_ice.bench.asking.aftermath import Aftermath
from easyedit_ice.bench.asking.examiner import Answers, Examiner
from easyedit_ice.bench.asking.facts import Fact
from easyedit_ice.bench.asking.lines import before_line, edit_line, failure_line, later_line
from easyedit_ice.bench.asking.undo_check import Said, UndoCheck
from easyedit_ice.bench.methods import Edited, Method
from easyedit_ice.bench.running.stream_state import StreamState
from easyedit_ice.bench.storage.finite_lines import not_finite
from easyedit_ice.bench.storage.ledger import Ledger
from easyedit_ice.bench.storage.line import PHASES, UNDONE, Line, Place
from easyedit_ice.bench.telemetry.cost import Cost, Meter
from easyedit_ice.errors import TrainingDivergedError
from easyedit_ice.evaluation import Context
from easyedit_ice.runtime.batching import batches


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


def run_apart(bench: Bench, facts: Sequence[Fact], batch_size: int) -> None:
    """Single and batch mode: each batch is written to the base model, measured, and undone."""
    for batch in batches(facts, batch_size):
        lines: list[Line] = []
        if not _is_done(bench.ledger, batch):
            unordered = _apart(bench, batch, batch[0].position // batch_size)
            lines = sorted(unordered, key=lambda line: (line["position"], PHASES.index(line["phase"])))
            bench.ledger.append(lines)
        bench.progress(len(batch), lines)


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
    """The facts of a stream: what was known of them before, and which are written by now."""

    def __init__(self, bench: Bench, facts: Sequence[Fact], untouched: Sequence[Fact]) -> None:
        self._bench = bench
        self._model = bench.method.model
        self._untouched = untouched
        before = bench.examiner.ask_unedited(self._model, [*facts, *untouched])
        self._known, self._beside = before[: len(facts)], before[len(facts) :]
        self._said = _said_before(bench, self._model, facts)
        self._contexts: dict[int, Context] = {}
        self._everywhere: Context | None = None
        self.written: list[Fact] = []
        bench.ledger.append(
            [
                *map(before_line, facts, self._known),
                *(
                    later_line("untouched", fact, 0, was, was)
                    for fact, was in zip(untouched, self._beside, strict=True)
                ),
                *bench.examiner.drift(self._model, 0, 0),
                *bench.aftermath.unedited(self._model, bench.ledger),
            ]
        )

    def write(self, batch: Sequence[Fact], step: int) -> list[Line]:
        """Write a batch on top of the others, and ask its facts unless the ledger has their lines.

        An edit after which the model says what are no numbers is undone, so that the stream can go on.
        """
        bench, done = self._bench, _edit(self._bench, batch, step)
        lines, edited = list(done.failures), done.edited
        if edited is not None and not bench.ledger.holds(
            Place("immediate", fact.position, step) for fact in done.facts
        ):
            try:
                lines += _measure(bench, done, step, [self._known[fact.position] for fact in done.facts])
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
                    later_line("retained", fact, step, self._known[fact.position], answers)
                    for fact, answers in zip(self.written, now, strict=True)
                ]
                + [
                    later_line("untouched", fact, step, was, answers)
                    for fact, was, answers in zip(self._untouched, self._beside, beside, strict=True)
                ]
            )
        if Place("drift", 0, step) not in bench.ledger:
            stated = [self._contexts[fact.position] for fact in self.written if fact.position in self._contexts]
            bench.ledger.append(bench.examiner.drift(self._model, 0, step, stated))
        bench.ledger.append(bench.aftermath.in_stream(self._model, step, bench.ledger))

    def follow(self, step: int) -> None:
        """See what treatments leave of all facts written, unless the ledger has it."""
        before = [self._known[fact.position] for fact in self.written]
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


@dataclass(frozen=True)
class _Done:
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


def _apart(bench: Bench, batch: Sequence[Fact], place: int) -> list[Line]:
    """All lines of the batch at a place; it is written to the base model and undone. The first's say how that was."""
    step = len(batch)
    before = bench.examiner.ask_unedited(bench.method.model, batch)
    unedited: list[Line] = []
    if place == 0:
        unedited += bench.examiner.drift(bench.method.model, 0, 0)
        unedited += bench.aftermath.unedited(bench.method.model, bench.ledger)
    by_position = {fact.position: answers for fact, answers in zip(batch, before, strict=True)}
    said = _said_before(bench, bench.method.model, batch)
    done = _edit(bench, batch, step)
    lines = [*map(before_line, batch, before), *unedited, *done.failures]
    if done.edited is not None:
        try:
            lines += _measure(bench, done, step, [by_position[fact.position] for fact in done.facts])
            lines += bench.examiner.drift(done.edited.model, batch[0].position, step, done.edited.contexts)
            was = [by_position[fact.position] for fact in done.facts]
            lines += bench.aftermath.after_edit(done.edited, done.facts, was, place, bench.ledger)
        except TrainingDivergedError as error:
            lines += [failure_line(fact, step, error) for fact in done.facts]
        except BaseException:
            bench.method.undo(done.edited)
            raise
        lines += _undone(bench, done.edited, said, batch[0].position, step)
    return lines


def _said_before(bench: Bench, model: Any, facts: Sequence[Fact]) -> Said | None:
    """What the unedited model says, to compare with once edits are undone; none where that is not to be checked."""
    return None if bench.undo_check is None else bench.undo_check.before(model, facts)


def _undone(bench: Bench, edited: Edited, said: Said | None, position: int, step: int) -> list[Line]:
    """Undo an edit; the line of what that left, where it is to be checked."""
    if bench.undo_check is None or said is None:
        bench.method.undo(edited)
        return []
    return [bench.undo_check.after_edit(bench.method, edited, said, position, step)]


def _edit(bench: Bench, batch: Sequence[Fact], step: int) -> _Done:
    """Write a batch; a fact at fault is left out and the others are tried again."""
    facts = list(batch)
    failures: list[Line] = []
    while facts:
        try:
            with bench.meter.measured() as cost:
                edited = bench.method.apply([fact.request for fact in facts], bench.seed)
            return _Done(facts, edited, cost, failures)
        except bench.method.fact_errors as error:
            index = getattr(error, "index", None)
            at_fault = list(facts) if index is None else [facts[index]]
            failures += [failure_line(fact, step, error) for fact in at_fault]
            facts = [fact for fact in facts if fact not in at_fault]
        except Exception as error:
            error.add_note(f"while it wrote {', '.join(repr(fact.request['prompt']) for fact in facts[:3])}")
            raise
    return _Done((), None, Cost(), failures)


def _measure(bench: Bench, done: _Done, step: int, before: Sequence[Answers]) -> list[Line]:
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


def _is_done(ledger: Ledger, batch: Sequence[Fact]) -> bool:
    """Whether the lines of all of a batch's facts are there."""
    return all(
        any(Place(phase, fact.position, len(batch)) in ledger for phase in ("immediate", "failed")) for fact in batch
    )
