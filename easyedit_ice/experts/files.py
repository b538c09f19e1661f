"""An expert's folder: two files that belong together, put in place at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from easyedit_ice.errors import DamagedFileError, ExpertError
from easyedit_ice.runtime.tensor_files import read_noted, write_noted

FORMAT = "1"
WEIGHTS, ABOUT = "expert.safetensors", "expert.json"


def write_files(folder: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write an expert; one that was saved there before is replaced as a whole.

    Args:
        folder: of the expert, and of nothing else.
        tensors: its elements.
        about: all else, as plain values.

    Raises:
        ExpertError: the folder holds something else, which is left as it is.
    """
    if folder.exists() and not is_expert(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ExpertError(f"{folder} is there and holds no expert; choose a folder that is empty or not there yet")
    folder.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(about, indent=2, ensure_ascii=False)
    with TemporaryDirectory(dir=folder.parent, prefix=".") as place:
        draft, replaced = Path(place) / "made", Path(place) / "replaced"
        write_noted(draft / WEIGHTS, tensors, {"format": FORMAT, "about": _hash(text)})
        (draft / ABOUT).write_text(text, encoding="utf-8")
        _put_in_place(draft, folder, replaced)


def read_files(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :func:`write_files` wrote.

    Raises:
        ExpertError: a file is missing, or of another format.
        DamagedFileError: a file is not as it was written.
    """
    if not is_expert(folder):
        raise ExpertError(f"{folder} holds no expert; expected a folder with {WEIGHTS} and {ABOUT}")
    tensors, notes = read_noted(folder / WEIGHTS, _damaged)
    text = _read_text(folder / ABOUT)
    if notes.get("format") != FORMAT:
        raise ExpertError(f"{folder} is of format {notes.get('format')!r}; this version reads format {FORMAT}")
    if notes.get("about") != _hash(text):
        raise _damaged(folder / ABOUT, f"is not the one that {WEIGHTS} was saved with")
    return tensors, json.loads(text)


def is_expert(folder: Path) -> bool:
    """Whether a folder has an expert's two files."""
    return (folder / WEIGHTS).is_file() and (folder / ABOUT).is_file()


def _put_in_place(draft: Path, folder: Path, replaced: Path) -> None:
    if folder.exists():
        folder.rename(replaced)
    try:
        draft.rename(folder)
    except BaseException:
        if replaced.exists():
            replaced.rename(folder)
        raise


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _damaged(path, f"cannot be read ({error})") from error


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(path: Path, how: str) -> DamagedFileError:
    return DamagedFileError(f"{path} {how}; save the expert again, or train it anew")
