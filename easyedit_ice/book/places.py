"""Where an export may be written, and where a book's base lies."""

from __future__ import annotations

from pathlib import Path

from easyedit_ice.checkpoints.names import EMBEDDED
from easyedit_ice.edit.base_model import Base
from easyedit_ice.errors import ExistsError
from easyedit_ice.factworld import model_path

RECORD = "edits.json"
"""Of an export: what it was made of; by it an export is told from other folders."""


def require_free(path: Path, overwrite: bool) -> None:
    """Refuse a place where something is that may not be replaced.

    Args:
        path: of a file, or of a folder.
        overwrite: whether a file, or the folder of an earlier export, may be replaced.

    Raises:
        ExistsError: it may not.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise ExistsError(
            f"{path} exists, and is not written over; choose another place, or --overwrite (overwrite=True)"
        )
    if path.is_dir() and not (path / RECORD).is_file():
        raise ExistsError(f"{path} holds no export of a book ({RECORD} is not there); choose another place")


def base_folder(base: Base) -> Path | None:
    """The base's checkpoint on the disk, if that is what its name says."""
    path = Path(base.name).expanduser()
    if path.exists():
        return path.resolve()
    return model_path().resolve() if base.name == EMBEDDED else None


def recorded(name: str) -> str:
    """A model's name as a book keeps it: of what is on the disk, the whole path."""
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name
