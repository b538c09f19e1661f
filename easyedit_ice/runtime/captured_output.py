"""What EasyEdit prints, as lines of a log."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

logger = logging.getLogger(__name__)


@contextmanager
def logged_prints() -> Iterator[None]:
    """Have all that is printed in the block, progress bars among it, logged at debug level."""
    with redirect_stdout(LogLines()), redirect_stderr(LogLines()):
        yield


class LogLines(io.TextIOBase):
    """A stream whose lines are logged, as they stand at last."""

    def __init__(self) -> None:
        self._begun = ""

    def write(self, text: str) -> int:
        """Log the lines that end in this text; keep the beginning of the next."""
        *lines, begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                logger.debug("%s", line.rpartition("\r")[2])
        self._begun = begun.rpartition("\r")[2]
        return len(text)
