"""Safetensors files with notes in their header, by which a damaged file is told from a sound one.

A file is written at once or not at all, also by several processes. What is wrong with it is said by the caller's own
exception.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyedit_ice.runtime.cache import made_once

if TYPE_CHECKING:
    from torch import Tensor

_CHECKSUM = "checksum"
Damaged = Callable[[Path, str], Exception]
"""Makes the exception for a file, given what it does, such as "cannot be read (…)"."""


def write_noted(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """Write tensors and notes, unless the file is there.

    Args:
        path: of the file.
        tensors: on any device.
        notes: for its header; a checksum of the tensors is added.
    """
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    made_once(path, partial(_write, held, dict(notes) | {_CHECKSUM: checksum_of(held)}))


def read_notes(path: Path, damaged: Damaged) -> dict[str, str]:
    """The notes of a file; its tensors are not looked at."""
    with _opened(path, damaged) as file:
        return dict(file.metadata() or {})


def read_noted(path: Path, damaged: Damaged) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and notes of a file, as they were written.

    Raises:
        Exception: what ``damaged`` makes, if the file cannot be read or its tensors are not those that were written.
    """
    with _opened(path, damaged) as file:
        notes = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    if notes.pop(_CHECKSUM, None) != checksum_of(tensors):
        raise damaged(path, "has other values than were written")
    return tensors, notes


def _write(tensors: dict[str, Tensor], notes: dict[str, str], path: Path) -> None:
    from safetensors.torch import save_file

    save_file(tensors, path, metadata=notes)


@contextmanager
def _opened(path: Path, damaged: Damaged) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise damaged(path, f"cannot be read ({error})") from error


def checksum_of(tensors: Mapping[str, Tensor]) -> str:
    """Sha256 of the values of tensors on the CPU, in the order of their names."""
    from easyedit_ice.runtime.bits import as_bytes

    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(as_bytes(tensors[name]).numpy().data)
    return digest.hexdigest()
