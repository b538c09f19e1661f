"""The ledger of a run: one JSON object a line, only ever appended to, safe against being killed at any moment.

A line counts once its final newline is on the disk. What a kill leaves of a half-written line is cut off when the
ledger is opened again; complete lines are never touched.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from typing_extensions import Self

from easyedit_ice.errors import LedgerError, RunInUseError

LEDGER = "ledger.jsonl"
LOCK = "lock"
HOLDER = "holder"
"""Names the process that has the lock: where locks are mandatory, a locked file cannot be read."""
ROOM = 16 * 2**20
"""Bytes that must be free before work starts."""

_AS_IT_IS = getattr(os, "O_BINARY", 0)
"""Keeps Windows from writing two bytes for a newline."""

Line = dict[str, Any]


class Place(NamedTuple):
    """What identifies a line: the phase, the fact's position, and how many facts had been written."""

    phase: str
    position: int
    step: int

    @classmethod
    def of(cls, line: Line) -> Place:
        """The place of a line."""
        return cls(line["phase"], line["position"], line["step"])


class RunFolder:
    """A run's folder, held by one process at a time.

    Args:
        path: made if it is not there.

    Raises:
        RunInUseError: another process holds it.
        LedgerError: it cannot be written to, or its disk is full.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = FileLock(self.path / LOCK, thread_local=False)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
            _require_room(self.path)
            (self.path / HOLDER).write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        except Timeout:
            raise RunInUseError(
                f"{self.path} is in use by {self._holder()}; wait for it to end, or choose another folder with out=..."
            ) from None
        except LedgerError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise LedgerError(
                f"{self.path} cannot be written to ({error}); choose another folder with out=..."
            ) from error

    def _holder(self) -> str:
        """Who holds the folder, as far as it says."""
        with suppress(OSError):
            return (self.path / HOLDER).read_text(encoding="utf-8").strip() or "another process"
        return "another process"

    def close(self) -> None:
        """Let go of the folder; the system does so as well when the process ends, however it ends."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Ledger:
    """Lines of a run, those of earlier processes included.

    Args:
        path: the file; made if it is not there.
        known: lines that are kept elsewhere, and need not be written again.

    Raises:
        LedgerError: the file cannot be opened, or a line before its last is not JSON.
    """

    def __init__(self, path: str | Path, known: Iterable[Line] = ()) -> None:
        self.path = Path(path)
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _AS_IT_IS, 0o666)
        except OSError as error:
            raise LedgerError(f"{self.path} cannot be opened for writing ({error})") from error
        lines, end = read_lines(self.path)
        os.ftruncate(self._file, end)
        self._lines = {Place.of(line): line for line in (*known, *lines)}

    def __contains__(self, place: Place) -> bool:
        return place in self._lines

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    def __len__(self) -> int:
        return len(self._lines)

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
        end = os.lseek(self._file, 0, os.SEEK_END)
        data = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in new.values()).encode()
        try:
            _write_whole(self._file, data)
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, end)
            raise LedgerError(
                f"{self.path} could not be written to ({error}); nothing before this is lost: make room and run the "
                "same command again"
            ) from error
        self._lines |= new

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_lines(path: str | Path) -> tuple[list[Line], int]:
    """The complete lines of a ledger, and the byte at which they end; a line cut off by a kill is left out.

    Raises:
        LedgerError: a complete line is not a JSON object.
    """
    data = Path(path).read_bytes()
    end = data.rfind(b"\n") + 1
    lines = []
    for number, text in enumerate(data[:end].splitlines(), 1):
        try:
            lines.append(json.loads(text))
            Place.of(lines[-1])
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"line {number} of {path} is not a line of a ledger ({error}); the file was changed by something else: "
                "restore it, or start anew in another folder"
            ) from error
    return lines, end


def write_atomically(path: Path, data: bytes) -> None:
    """Put a whole file in place, or leave what was there; it is on the disk when this returns.

    Raises:
        LedgerError: it could not be written.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise LedgerError(f"{path} could not be written ({error}); make room and run the same command again") from error


def _write_whole(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _require_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise LedgerError(
            f"{folder} has {free / 2**20:.0f} MiB left on its disk; a run needs at least {ROOM // 2**20} MiB: "
            "make room, or choose another folder with out=..."
        )
