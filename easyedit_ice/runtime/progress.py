"""How far long work has come: told to whoever watches, or else shown by a bar of tqdm, as in a notebook."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from tqdm.auto import tqdm

EVERY = 10.0
"""Seconds between two lines."""

_DELAY = 0.5
"""Seconds that work must take before there is a bar."""


@dataclass
class Phase:
    """A part of long work.

    Attributes:
        what: is being done.
        total: units; ``None`` if that is not known.
        unit: their name; empty if nothing is counted.
        done: units so far.
        aloud: whether it may take long without a sign, so that it is told of when it begins.
        started: when, in seconds of the monotonic clock.
    """

    what: str
    total: int | None = None
    unit: str = ""
    done: int = 0
    aloud: bool = False
    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        """A line that says how far it is, with the time left where that can be told."""
        if not self.unit:
            return self.what
        if self.total is None:
            return f"{self.what}: {self.done} {self.unit}s"
        return f"{self.what}: {self.done} of {self.total} {self.unit}s{self._left()}"

    def _left(self) -> str:
        if self.total is None or not 0 < self.done < self.total:
            return ""
        seconds = (time.monotonic() - self.started) * (self.total - self.done) / self.done
        return f", about {in_minutes(seconds)} left"


Watch = Callable[[Phase], AbstractContextManager[Callable[[], None]]]
"""Given a phase that begins; within the block, what it yields is called whenever the phase has moved."""

_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Have all phases within shown by somebody, in place of tqdm's bars."""
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


@contextmanager
def progress(logger: logging.Logger | None, what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """A function to call with how many units were done since the last call.

    Args:
        logger: gets a line at level INFO every :data:`EVERY` seconds.
        what: is being done.
        total: units; ``None`` if that is not known.
        unit: their name.
    """
    phase = Phase(what, total, unit)
    logged = phase.started
    with (_WATCH.get() or _bar)(phase) as moved:

        def advance(count: int) -> None:
            nonlocal logged
            phase.done += count
            moved()
            now = time.monotonic()
            if logger is not None and now - logged >= EVERY:
                logged = now
                logger.info("%s", str(phase))  # as it is now: the phase goes on

        yield advance


def steps(logger: logging.Logger, what: str, total: int, unit: str) -> Iterator[int]:
    """The numbers from 0 on, each counted as done when the next one is asked for; as :func:`progress`."""
    with progress(logger, what, total, unit) as advance:
        for step in range(total):
            yield step
            advance(1)


@contextmanager
def waiting(what: str, *, aloud: bool = False) -> Iterator[None]:
    """A phase of which nothing can be counted, such as the loading of a model.

    Args:
        what: is being done.
        aloud: as of :class:`Phase`.
    """
    with (_WATCH.get() or silent)(Phase(what, aloud=aloud)):
        yield


@contextmanager
def silent(phase: Phase) -> Iterator[Callable[[], None]]:
    """Show nothing of a phase."""
    yield lambda: None


def lines(tell: Callable[[str], None], every: float | None = None) -> Watch:
    """Tell of each phase by a line now and then, until it is done; of one that is ``aloud``, when it begins.

    Args:
        tell: gets the lines.
        every: seconds between two lines of a phase, by default :data:`EVERY`.
    """

    @contextmanager
    def watch(phase: Phase) -> Iterator[Callable[[], None]]:
        last = phase.started
        if phase.aloud:
            tell(str(phase))

        def moved() -> None:
            nonlocal last
            now = time.monotonic()
            if phase.done != phase.total and now - last >= (EVERY if every is None else every):
                last = now
                tell(str(phase))

        yield moved

    return watch


def in_minutes(seconds: float) -> str:
    """A time as ``2 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def _bar(phase: Phase) -> Iterator[Callable[[], None]]:
    total, unit = phase.total, phase.unit
    with tqdm(total=total, desc=phase.what, unit=unit, leave=False, disable=None, delay=_DELAY) as bar:

        def moved() -> None:
            bar.update(phase.done - bar.n)

        yield moved
