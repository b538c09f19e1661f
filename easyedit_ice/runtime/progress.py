"""How far long work has come: a bar on a terminal, and elsewhere a line now and then, with the time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tqdm.auto import tqdm

EVERY = 10.0
"""Seconds between two lines."""

_DELAY = 0.5
"""Seconds that work must take before there is a bar."""

_TELL: ContextVar[tuple[Callable[[str], None], float | None] | None] = ContextVar("tell", default=None)
"""Who is told, and after how many seconds again."""


@contextmanager
def progress(logger: logging.Logger, what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """A function to call with how many units were done since the last call.

    Args:
        logger: gets a line at level INFO every :data:`EVERY` seconds, as does whoever is :func:`told`.
        what: is being done.
        total: units; ``None`` if that is not known.
        unit: their name.
    """
    done, started = 0, time.monotonic()
    logged = last_told = started

    with tqdm(total=total, desc=what, unit=unit, leave=False, disable=None, delay=_DELAY) as bar:

        def advance(count: int) -> None:
            nonlocal done, logged, last_told
            done += count
            bar.update(count)
            now = time.monotonic()
            line = f"{what}: {_state(done, total, unit, now - started)}"
            if now - logged >= EVERY:
                logged = now
                logger.info("%s", line)
            tell, every = _TELL.get() or (None, None)
            if tell is not None and now - last_told >= (EVERY if every is None else every):
                last_told = now
                tell(line)

        yield advance


def steps(logger: logging.Logger, what: str, total: int, unit: str) -> Iterator[int]:
    """The numbers from 0 on, each counted as done when the next one is asked for; as :func:`progress`."""
    with progress(logger, what, total, unit) as advance:
        for step in range(total):
            yield step
            advance(1)


@contextmanager
def told(tell: Callable[[str], None], every: float | None = None) -> Iterator[None]:
    """Have the lines of all progress within go to a function.

    Args:
        tell: the function.
        every: seconds between two lines, by default :data:`EVERY`.
    """
    token = _TELL.set((tell, every))
    try:
        yield
    finally:
        _TELL.reset(token)


def _state(done: int, total: int | None, unit: str, seconds: float) -> str:
    if total is None:
        return f"{done} {unit}s"
    left = f", about {_time(seconds * (total - done) / done)} left" if 0 < done < total else ""
    return f"{done} of {total} {unit}s{left}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
