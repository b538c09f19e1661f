"""How far long work has come: a bar on a terminal, and elsewhere a line of the log now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

EVERY = 10.0
"""Seconds between two lines of the log."""


@contextmanager
def progress(logger: logging.Logger, what: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """A function to call with how many units were done since the last call.

    Args:
        logger: gets a line at level INFO every :data:`EVERY` seconds.
        what: is being done.
        total: units; ``None`` if that is not known.
        unit: their name.
    """
    done, told = 0, time.monotonic()

    with tqdm(total=total, desc=what, unit=unit, leave=False, disable=None) as bar:

        def advance(count: int) -> None:
            nonlocal done, told
            done += count
            bar.update(count)
            if time.monotonic() - told >= EVERY:
                told = time.monotonic()
                logger.info("%s: %s %ss", what, done if total is None else f"{done} of {total}", unit)

        yield advance
