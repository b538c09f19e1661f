"""A folder of experts, each in a folder of its own name."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from easyedit_ice.errors import ExpertError, did_you_mean
from easyedit_ice.experts.expert import Expert
from easyedit_ice.experts.files import ABOUT, WEIGHTS, is_expert


class Library:
    """Experts on disk.

    Args:
        folder: made when the first expert is saved.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def names(self) -> list[str]:
        """Of all experts, in alphabetical order; other folders and files are passed over."""
        paths = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(path.name for path in paths if not path.name.startswith(".") and is_expert(path))

    def save(self, experts: Iterable[Expert]) -> None:
        """Write experts; those of the same names are replaced."""
        for expert in experts:
            expert.save(self.folder / expert.name)

    def expert(self, name: str) -> Expert:
        """One expert.

        Raises:
            ExpertError: there is none of that name, or it is damaged.
        """
        return Expert.load(self._place(name))

    def load(self, names: Sequence[str] | None = None) -> list[Expert]:
        """Some experts in the order of their names given, or all.

        Raises:
            ExpertError: there is none of a name, or one is damaged.
        """
        return [self.expert(name) for name in (self.names() if names is None else names)]

    def delete(self, name: str) -> None:
        """Delete an expert's folder, also if its files are damaged.

        Raises:
            ExpertError: there is no expert of that name, or its folder holds other files too; nothing is deleted.
        """
        place = self._place(name)
        others = sorted(path.name for path in place.iterdir() if path.name not in (WEIGHTS, ABOUT))
        if others:
            raise ExpertError(f"{place} holds {', '.join(others)} beside the expert; move that elsewhere, or delete it")
        shutil.rmtree(place)

    def _place(self, name: str) -> Path:
        names = self.names()
        if name not in names:
            raise ExpertError(
                f"{self.folder} has no expert {name!r}.{did_you_mean(name, names)} It has: {', '.join(names) or 'none'}"
            )
        return self.folder / name
