"""Files and folders that are written whole or not at all, also where the process is killed or the power fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

PREFIX = ".easyedit-ice-"
"""Of what is on its way to its place, or out of it; left over only by a process that was killed."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, and put it there at once; an older one is replaced.

    Raises:
        OSError: it could not be written; what was there still is.
    """
    made = path.with_name(f"{PREFIX}{os.getpid()}-{path.name}")
    try:
        with made.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
    _sync(path.parent)


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty folder to write into, which becomes ``folder`` when the block ends without an exception.

    Args:
        folder: must not be there, unless it is empty or ``replace`` is set; its parents are made.
        replace: let it take the place of one that is there.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = Path(mkdtemp(dir=folder.parent, prefix=PREFIX))
    try:
        made = place / folder.name
        made.mkdir()
        yield made
        for path in (*made.rglob("*"), made):
            _sync(path)
        _put(made, folder, place / "replaced" if replace else None)
        _sync(folder.parent)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def remove_whole(folder: Path) -> None:
    """Delete a folder: it is gone from its place at once."""
    place = Path(mkdtemp(dir=folder.parent, prefix=PREFIX))
    with suppress(FileNotFoundError):
        folder.rename(place / folder.name)
    shutil.rmtree(place, ignore_errors=True)
    _sync(place.parent)


def sweep(folder: Path) -> None:
    """Delete what killed processes left in a folder that nobody else is writing to."""
    for path in folder.glob(f"{PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _put(made: Path, folder: Path, replaced: Path | None) -> None:
    if replaced is not None and folder.exists():
        folder.rename(replaced)
    try:
        made.rename(folder)
    except BaseException:
        if replaced is not None and replaced.exists():
            replaced.rename(folder)
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
