"""What is computed once and kept in the user's cache: a folder for each kind of thing.

A thing's name is a hash of all that it depends on. What is damaged is refused with what to do about it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from easyedit_ice.errors import DamagedFileError
from easyedit_ice.runtime.cache import cache_root
from easyedit_ice.runtime.tensor_files import read_noted, read_notes, write_noted
from easyedit_ice.runtime.untrusted import parsed_json

if TYPE_CHECKING:
    from torch import Tensor

About = TypeVar("About")


@dataclass(frozen=True)
class Store:
    """A folder of the cache.

    Attributes:
        name: of the folder.
        format: version of what is kept; what is of another version is not used.
        remedy: what to do about a damaged thing, after "delete it, ".
        pattern: of the things' paths within the folder.
    """

    name: str
    format: str
    remedy: str
    pattern: str

    @property
    def folder(self) -> Path:
        """Where the things are kept; it need not be there."""
        return cache_root() / self.name

    def paths(self) -> list[Path]:
        """All things, damaged ones too."""
        return sorted(self.folder.glob(self.pattern))

    def clear(self) -> int:
        """Delete all things, damaged ones too; how many there were."""
        paths = self.paths()
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            if path.parent != self.folder:
                with suppress(OSError):
                    path.parent.rmdir()
        return len(paths)

    def damaged(self, path: Path, how: str) -> DamagedFileError:
        """The error for a thing, given what it does, such as "cannot be read (…)"."""
        return DamagedFileError(f"{path} {how}; delete it, {self.remedy}")

    def read_json(self, path: Path, parse: Callable[[Any], About]) -> About:
        """What a JSON file of the store holds.

        Args:
            path: of the file.
            parse: makes the result; it raises a ``ValueError``, ``KeyError`` or ``TypeError`` for other content.

        Raises:
            DamagedFileError: it cannot be read, or holds something else.
        """
        try:
            return parse(parsed_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self.damaged(path, f"cannot be read ({error})") from error


@dataclass(frozen=True)
class Entry(Generic[About]):
    """A file of tensors in a store.

    Attributes:
        path: of it.
        about: what its notes say.
        size: of the file, in bytes.
    """

    path: Path
    about: About
    size: int


@dataclass(frozen=True)
class TensorStore(Store, Generic[About]):
    """A folder of the cache with safetensors files, each with notes of what it holds and a checksum.

    Attributes:
        parse: makes something of the notes; it raises a ``ValueError``, ``KeyError`` or ``TypeError`` for others.
    """

    parse: Callable[[Mapping[str, str]], About]

    def path_of(self, identity: Any) -> Path:
        """Where a thing is kept, given all that it depends on, as plain values."""
        digest = hashlib.sha256(json.dumps([self.format, identity], sort_keys=True).encode()).hexdigest()
        return self.folder / f"{digest[:24]}.safetensors"

    def save(self, path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
        """Keep tensors; of processes that do it at once, one is the first, and no reader sees half a file."""
        write_noted(path, tensors, {"format": self.format, **notes})

    def about(self, path: Path) -> About:
        """What a file's notes say; its tensors are not looked at.

        Raises:
            DamagedFileError: it cannot be read, is of another format, or lacks its notes.
        """
        notes = read_notes(path, self.damaged)
        try:
            if notes["format"] != self.format:
                raise self.damaged(path, f"is not of format {self.format}")
            return self.parse(notes)
        except (KeyError, TypeError, ValueError) as error:
            raise self.damaged(path, f"lacks its notes ({error})") from error

    def tensors(self, path: Path) -> dict[str, Tensor]:
        """A file's tensors, on the CPU.

        Raises:
            DamagedFileError: it cannot be read, or they are not those that were saved.
        """
        return read_noted(path, self.damaged)[0]

    def entries(self) -> Iterator[Entry[About]]:
        """All files.

        Raises:
            DamagedFileError: one is damaged.
        """
        for path in self.paths():
            yield Entry(path, self.about(path), path.stat().st_size)
