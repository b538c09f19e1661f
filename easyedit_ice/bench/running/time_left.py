"""How far a run has come, how long it will take, and whether that is longer than anyone asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from statistics import median

from easyedit_ice.errors import LongRunError

logger = logging.getLogger(__name__)

MOST_FACTS = 200
"""Edited where no number of facts is given; more want to be asked for."""
MOST_HOURS = 12
"""That a run may take, by its first facts, before it wants to be asked for."""
LOOK_AFTER = 3
"""Facts after which the time is estimated first."""
WORTH_TELLING = 10.0
"""Seconds left from which a line of progress says so."""
EVERY = 60.0
"""Seconds between two lines of progress."""


class Pace:
    """Estimates what is left from the median time of a fact, which pauses do not move.

    Args:
        name: of the method.
        facts: how many there are, for this process.
        confirmed: whether the run was asked for however long it takes.
        told: is given a line of progress after the first facts, and every minute.
        clock: seconds, rising.
    """

    def __init__(
        self,
        name: str,
        facts: int,
        confirmed: bool,
        told: Callable[[str], None] = logger.info,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._facts, self._confirmed = name, facts, confirmed
        self._told, self._clock = told, clock
        self._done = 0
        self._seconds: list[float] = []
        self._last = self._spoke = clock()

    def move(self, count: int, worked: bool) -> None:
        """So many more facts are done.

        Args:
            count: of facts.
            worked: whether they were done now; else their lines were there already.

        Raises:
            LongRunError: by the first facts it would take longer than anyone asked for.
        """
        now = self._clock()
        self._done += count
        if worked:
            measured = len(self._seconds)
            self._seconds += [(now - self._last) / count] * count
            if measured < LOOK_AFTER <= len(self._seconds) and self.left is not None and self._done < self._facts:
                self._refuse_long(self.left)
                self._say(now)
            elif now - self._spoke >= EVERY and self._done < self._facts:
                self._say(now)
        self._last = now

    @property
    def typical(self) -> float | None:
        """Seconds of a fact, by the median; none before one was done."""
        return median(self._seconds) if self._seconds else None

    @property
    def left(self) -> float | None:
        """Seconds that the facts which are left will take; none before one was done."""
        return None if self.typical is None else self.typical * (self._facts - self._done)

    def _say(self, now: float) -> None:
        self._spoke = now
        left = self.left or 0.0
        if left >= WORTH_TELLING:
            self._told(f"{self._name}: {self._done} of {self._facts} facts, about {in_words(left)} left")

    def _refuse_long(self, left: float) -> None:
        if left > MOST_HOURS * 3600 and not self._confirmed:
            raise LongRunError(
                f"{self._name} would take about {in_words(left)} more for {self._facts - self._done} facts; ask for "
                f"fewer with data.size=..., or add confirm=true, which goes on from here: the lines of {self._done} "
                "facts are kept"
            )


def in_words(seconds: float) -> str:
    """A time in its two largest units, as ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60) if whole >= 3600 else whole // 60
    if whole < 3600:
        return f"{minutes} min {whole % 60} s" if minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
