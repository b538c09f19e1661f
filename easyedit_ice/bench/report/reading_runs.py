"""Runs as they lie on the disk, finished or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from easyedit_ice.bench.report.phrases import Mode
from easyedit_ice.bench.storage.ledger import LEDGER
from easyedit_ice.bench.storage.line import Line
from easyedit_ice.bench.storage.manifest_entries import Manifest
from easyedit_ice.bench.storage.run_manifest import MANIFEST, origin_of, read
from easyedit_ice.bench.storage.sealed_lines import read_sealed
from easyedit_ice.errors import LedgerError

ENTRIES = ("algorithm", "mode.name", "model", "data.facts", "evaluation")
"""What a manifest must hold to be reported on."""

FactKey = tuple[int, str, str]
"""What tells a fact from others in any run: its index in its file, its prompt and its new target."""


@dataclass(frozen=True)
class Run:
    """One method on some facts in one mode, as far as it got.

    Attributes:
        path: its folder.
        label: name in tables.
        manifest: all that its numbers depend on.
        lines: of its ledger.
        cut_off: whether a kill left a half-written line at the end, which is not among the lines.
    """

    path: Path
    label: str
    manifest: Manifest
    lines: tuple[Line, ...]
    cut_off: bool = False

    @property
    def mode(self) -> Mode:
        """Name of the mode, how many facts an edit writes, and in which order."""
        mode, order = self.manifest["mode"], self.manifest["data"].get("order")
        return Mode(mode["name"], mode.get("batch_size", 1), -1 if order is None else order)

    @property
    def is_sequential(self) -> bool:
        """Whether facts accumulate."""
        return self.mode.name == "sequential"

    @property
    def final_phase(self) -> str:
        """The phase whose scores are of all edits in force, and with which the known facts stand."""
        return "retained" if self.is_sequential else "immediate"

    @property
    def facts(self) -> int:
        """How many facts it was to write."""
        return self.manifest["data"]["facts"]

    @cached_property
    def written(self) -> int:
        """How many facts it wrote."""
        return len(self.at("immediate"))

    @cached_property
    def failed(self) -> int:
        """How many facts its method could not write."""
        return len(self.at("failed"))

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Steps at which every fact written until then was asked again, rising; none but in a stream."""
        asked = Counter(line["step"] for line in self.lines if line["phase"] == "retained")
        written = [line["step"] for line in self.at("immediate")]
        return tuple(step for step in sorted(asked) if asked[step] == sum(when <= step for when in written))

    @property
    def state(self) -> str:
        """``finished``, or how far it got."""
        done = self.written + self.failed
        if done < self.facts:
            return f"unfinished: {done} of {self.facts} facts"
        if self.is_sequential and self.written and self.facts not in self.steps:
            return f"unfinished: {done} of {self.facts} facts, not all asked again after the last edit"
        return "finished"

    def at(self, phase: str, step: int | None = None) -> list[Line]:
        """Lines of a phase, by position; of the last complete step where there are several.

        Args:
            phase: of the ledger.
            step: for ``retained`` and ``untouched``, another step than the last.
        """
        if phase in ("retained", "untouched"):
            step = step if step is not None else max(self.steps, default=None)
            lines = [line for line in self.lines if line["phase"] == phase and line["step"] == step]
        else:
            lines = [line for line in self.lines if line["phase"] == phase]
        return sorted(lines, key=lambda line: line["position"])


def fact_key(line: Line) -> FactKey:
    """The fact that a line is about."""
    case = line["case"]
    return case["index"], case["prompt"], case["target_new"]


def read_run(folder: str | Path, label: str | None = None) -> Run:
    """Read a run's folder, finished or not.

    Args:
        folder: with a manifest; a ledger that is not there yet counts as empty.
        label: name in tables instead of the manifest's.

    Raises:
        LedgerError: there is no manifest, it lacks an entry, or a line is not what a run wrote there.
    """
    path = Path(folder)
    manifest = read(path)
    absent = [entry for entry in ENTRIES if not _holds(manifest, entry)]
    if absent:
        raise LedgerError(
            f"{path / MANIFEST} has no {', '.join(absent)}; it is not the manifest of a run: "
            "give the folder that `easyedit-ice run` wrote"
        )
    ledger = path / LEDGER
    sealed = read_sealed(ledger, origin_of(path)) if ledger.exists() else None
    lines = sealed.lines if sealed else ()
    cut_off = sealed is not None and ledger.stat().st_size > sealed.end
    return Run(path, label or manifest.get("label") or manifest["algorithm"], manifest, lines, cut_off)


def find_runs(paths: Iterable[str | Path]) -> list[Path]:
    """Folders of runs at or below the given ones, in their order, those below by name; none twice.

    Raises:
        LedgerError: there is no run at or below one of them.
    """
    folders: dict[Path, Path] = {}
    for path in map(Path, paths):
        below = [path] if (path / MANIFEST).is_file() else sorted(file.parent for file in path.rglob(MANIFEST))
        outermost = [folder for folder in below if not set(folder.parents) & set(below)]
        if not outermost:
            raise LedgerError(f"there is no run at or below {path}: no folder there holds a {MANIFEST}")
        folders |= {folder.resolve(): folder for folder in outermost if folder.resolve() not in folders}
    return list(folders.values())


def _holds(manifest: Manifest, entry: str) -> bool:
    """Whether a manifest has an entry such as ``data.facts``."""
    below: Any = manifest
    for key in entry.split("."):
        if not isinstance(below, Mapping) or key not in below:
            return False
        below = below[key]
    return True
