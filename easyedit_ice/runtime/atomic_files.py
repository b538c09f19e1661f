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
    draft = path.with_name(f"{PREFIX}{os.getpid()}-{path.name}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


@contextmanager
def whole_path(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Where to make a file or folder, which becomes ``path`` when the block ends without an exception.

    Args:
        path: must not be there, unless it is an empty folder or ``replace`` is set; its parents are made. Of a link,
            what it points to is meant.
        replace: let it take the place of what is there.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    place = Path(mkdtemp(dir=path.parent, prefix=PREFIX))
    try:
        draft = place / path.name
        yield draft
        for file in (*draft.rglob("*"), draft):
            _sync(file)
        _put(draft, path, place / "replaced" if replace else None)
        _sync(path.parent)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty folder to write into; else as :func:`whole_path`."""
    with whole_path(folder, replace=replace) as draft:
        draft.mkdir()
        yield draft


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


def _put(draft: Path, path: Path, replaced: Path | None) -> None:
    try:
        if replaced is not None and path.exists():
            path.rename(replaced)
        draft.rename(path)
    except BaseException:
        if replaced is not None and replaced.exists() and not path.exists():
            replaced.rename(path)
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
