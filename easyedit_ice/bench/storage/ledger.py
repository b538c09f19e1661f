"""The ledger of a run: one JSON object a line, only ever appended to, safe against being killed at any moment.

A line counts once its final newline is on the disk. What a kill leaves of a half-written line is cut off when the
ledger is opened again; complete lines are never touched. What else may have happened to them is found by their
checksums (:mod:`easyedit_ice.bench.storage.sealed_lines`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from easyedit_ice.bench.storage.line import Line, Place
from easyedit_ice.bench.storage.sealed_lines import read_sealed, sealed
from easyedit_ice.errors import LedgerError

LEDGER = "ledger.jsonl"
_AS_IT_IS = getattr(os, "O_BINARY", 0)
"""Keeps Windows from writing two bytes for a newline."""


class Ledger:
    """Lines of a run, those of earlier processes included.

    Args:
        path: the file; made if it is not there.
        origin: the checksum before its first line.
        known: lines that are kept elsewhere, and need not be written again.

    Raises:
        LedgerError: the file cannot be opened, or a line is not what a run wrote there.
    """

    def __init__(self, path: str | Path, origin: str = "", earlier: Iterable[Line] = ()) -> None:
        self.path = Path(path)
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _AS_IT_IS, 0o666)
        except OSError as error:
            raise LedgerError(f"{self.path} cannot be opened for writing ({error})") from error
        try:
            sealed = read_sealed(self.path, origin)
            os.ftruncate(self._file, sealed.end)
        except BaseException:
            os.close(self._file)
            raise
        self._checks = [origin, *sealed.checks]
        self._lines = {Place.of(line): line for line in (*earlier, *sealed.lines)}

    def __contains__(self, place: Place) -> bool:
        return place in self._lines

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def end(self) -> tuple[int, str]:
        """How many lines the file has, and the checksum of all of them."""
        return len(self._checks) - 1, self._checks[-1]

    def was_at(self, lines: int, check: str) -> bool:
        """Whether the file's first lines are those of which :attr:`end` once said this."""
        return 0 <= lines < len(self._checks) and self._checks[lines] == check

    def holds(self, places: Iterable[Place]) -> bool:
        """Whether every one of these lines is there."""
        return all(place in self._lines for place in places)

    def append(self, lines: Sequence[Line]) -> None:
        """Write those lines that are not there yet, and wait until they are on the disk.

        Raises:
            LedgerError: they could not be written; the ledger ends as it did before.
        """
        new = {place: line for line in lines if (place := Place.of(line)) not in self._lines}
        if not new:
            return
        data, checks = b"", [self._checks[-1]]
        for line in new.values():
            text, check = sealed(line, checks[-1])
            data += text
            checks.append(check)
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            _write_whole(self._file, data)
            os.fsync(self._file)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, end)
            raise LedgerError(
                f"{self.path} could not be written to ({error}); nothing before this is lost: make room and run the "
                "same command again"
            ) from error
        self._lines |= new
        self._checks += checks[1:]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _write_whole(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
