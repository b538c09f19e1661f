"""What a run says: warnings and progress on the terminal, everything in the run's own log file."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

from easyedit_ice.errors import LedgerError
from easyedit_ice.runtime.captured_output import LogLines

LOG = "run.log"
LEVELS = {"quiet": logging.ERROR, "normal": logging.INFO, "verbose": logging.DEBUG}
PACKAGE = "easyedit_ice"


@contextmanager
def logging_to(folder: Path, verbosity: str) -> Iterator[bool]:
    """Log this package's messages to the terminal, and all there is into the folder's log file.

    What other libraries log, warn of or print while the block runs goes into the file alone, unless it is an error or
    ``verbosity`` is ``"verbose"``.

    Yields:
        whether progress is shown.

    Args:
        folder: of the run.
        verbosity: one of :data:`LEVELS`.

    Raises:
        LedgerError: the log file cannot be written to.
    """
    terminal = logging.StreamHandler(sys.stderr)
    try:
        file = _LogFile(folder / LOG, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise LedgerError(
            f"{folder / LOG} cannot be written to ({error}); make room and run the same command again"
        ) from error
    terminal.setLevel(LEVELS[verbosity])
    terminal.setFormatter(logging.Formatter("%(message)s"))
    terminal.addFilter(lambda record: verbosity == "verbose" or record.levelno >= logging.ERROR or _is_news(record))
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root, ours = logging.getLogger(), logging.getLogger(PACKAGE)
    before = root.handlers[:], root.level, ours.level
    root.handlers[:] = [terminal, file]
    root.setLevel(logging.INFO)
    ours.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(), redirect_stdout(LogLines()), _transformers_shown(verbosity == "verbose"):
            logging.captureWarnings(True)
            yield verbosity != "quiet" and sys.stderr.isatty()
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level = before[0], before[1]
        ours.setLevel(before[2])
        file.close()


class _LogFile(logging.FileHandler):
    """A log that is cut short where the disk is full: what then ends the run is said by what has to be written."""

    def handleError(self, record: logging.LogRecord) -> None:
        """A line is lost."""

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            super().close()


def _is_news(record: logging.LogRecord) -> bool:
    """What a run says of itself, and what the rest of this package warns of."""
    ours = record.name.partition(".")[0] == PACKAGE
    return ours and (record.levelno > logging.INFO or record.name.startswith(f"{PACKAGE}.bench."))


@contextmanager
def _transformers_shown(shown: bool) -> Iterator[None]:
    """Whether transformers, which has a terminal handler of its own, shows bars and warnings."""
    from transformers.utils import logging as transformers_logging

    bars, verbosity = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    if not shown:
        transformers_logging.disable_progress_bar()
        transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
