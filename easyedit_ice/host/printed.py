"""What EasyEdit prints, as lines of a log."""

from __future__ import annotations

import io
import logging

logger = logging.getLogger(__name__)


class LogLines(io.TextIOBase):
    """A stream for ``redirect_stdout`` whose lines are logged at debug level."""

    def __init__(self) -> None:
        self._begun = ""

    def write(self, text: str) -> int:
        """Log the lines that end in this text; keep the beginning of the next."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                logger.debug("%s", line)
        return len(text)
