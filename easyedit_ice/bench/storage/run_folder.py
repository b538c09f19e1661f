"""A run's folder: held by one process at a time; files are replaced whole, and a run that never began leaves none."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout
from typing_extensions import Self

from easyedit_ice.errors import LedgerError, RunInUseError
from easyedit_ice.runtime.atomic_files import write_whole

LOCK = "lock"
HOLDER = "holder"
"""Names the process that has the lock: where locks are mandatory, a locked file cannot be read."""
ROOM = 16 * 2**20
"""Bytes that must be free before work starts."""


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
        self._new_folders = missing(self.path)
        self._earlier_entries = {LOCK, HOLDER}
        self._lock = FileLock(self.path / LOCK, thread_local=False)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout:
            raise RunInUseError(
                f"{self.path} is in use by {self._holder()}; wait for it to end, or choose another folder with out=..."
            ) from None
        except OSError as error:
            remove_empty(self._new_folders)
            raise LedgerError(
                f"{self.path} cannot be written to ({error}); choose another folder with out=..."
            ) from error
        self._earlier_entries = {entry.name for entry in self.path.iterdir()} - {LOCK, HOLDER}
        try:
            with suppress(OSError):  # the name is for others to read; a full disk is told of by those who must write
                (self.path / HOLDER).write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
            require_room(self.path)
        except BaseException:
            self.forget()
            self.close()
            raise

    def _holder(self) -> str:
        """Who holds the folder, as far as it says."""
        with suppress(OSError):
            return (self.path / HOLDER).read_text(encoding="utf-8").strip() or "another process"
        return "another process"

    def forget(self) -> None:
        """Remove the files that are here since it is held, and the folders made for it where that leaves them empty.

        For a run that was refused or stopped before it wrote a line. Folders that were not empty stay as they were.
        """
        with suppress(OSError):
            for entry in list(self.path.iterdir()):
                if entry.name not in self._earlier_entries and entry.is_file():
                    entry.unlink()
                elif entry.name not in self._earlier_entries:
                    shutil.rmtree(entry, ignore_errors=True)
        remove_empty(self._new_folders)

    def close(self) -> None:
        """Let go of the folder; the system does so as well when the process ends, however it ends."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def missing(path: Path) -> list[Path]:
    """The folders that making this one would make, innermost first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, innermost first, as far as they are empty."""
    with suppress(OSError):
        for folder in folders:
            if folder.exists():
                folder.rmdir()


def write_atomically(path: Path, data: bytes) -> None:
    """Put a whole file in place, or leave what was there; it is on the disk when this returns.

    Raises:
        LedgerError: it could not be written.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        raise LedgerError(f"{path} could not be written ({error}); make room and run the same command again") from error


def require_room(folder: Path) -> None:
    """Refuse to start on a disk that is all but full.

    Raises:
        LedgerError: it is.
    """
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise LedgerError(
            f"{folder} has {free / 2**20:.0f} MiB left on its disk; a run needs at least {ROOM // 2**20} MiB: "
            "make room, or choose another folder with out=..."
        )
