"""A GGUF file that holds a model, whole or in parts."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from easyedit_ice.errors import LoadingError

GgufType = Literal["F32", "F16", "BF16", "Q8_0"]
GGUF_TYPES: tuple[GgufType, ...] = ("F32", "F16", "BF16", "Q8_0")
"""Types in which weights are written."""
_CHUNK = 2**20
"""Bytes that are hashed at a time."""


@dataclass(frozen=True)
class GgufSource:
    """A model as GGUF.

    Attributes:
        name: of the model, as its folder in the cache is called.
        sha256: of the whole file, in hexadecimal.
        locate: finds the files that make the whole one when joined; raises :class:`LoadingError` if they are not there.
    """

    name: str
    sha256: str
    locate: Callable[[], Sequence[Path]]

    @classmethod
    def of_file(cls, path: Path) -> GgufSource:
        """A file of the user's, called like the file."""
        return cls(path.stem, sha256_of(path), lambda: [path])

    @contextmanager
    def file(self) -> Iterator[Path]:
        """The whole file, in a folder that holds nothing else.

        Raises:
            LoadingError: it is not there, or not the file that is expected.
        """
        parts = self.locate()
        with TemporaryDirectory() as folder:
            whole = Path(folder) / f"{self.name}.gguf"
            if len(parts) == 1:
                _link(parts[0].resolve(), whole)
            else:
                with whole.open("wb") as joined:
                    for part in parts:
                        with part.open("rb") as file:
                            shutil.copyfileobj(file, joined)
            if (checksum := sha256_of(whole)) != self.sha256:
                raise LoadingError(
                    f"{', '.join(map(str, parts))} has the sha256 {checksum}, but {self.name} is known by "
                    f"{self.sha256}; install its package again"
                )
            yield whole


def _link(file: Path, link: Path) -> None:
    """The file under another name; a copy of it where the system lets this user make no links, as Windows may."""
    try:
        link.symlink_to(file)
    except OSError:
        shutil.copyfile(file, link)


def sha256_of(path: Path) -> str:
    """Hash of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
