"""What edits leave behind once they are taken out: the largest difference of any logit from the unedited model's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easyedit_ice.bench.report.phrases import MISSING, listed, number
from easyedit_ice.bench.report.reading_runs import Run
from easyedit_ice.bench.storage.line import UNDONE


@dataclass(frozen=True)
class WayBack:
    """One way of taking edits out, over all edits of a run.

    Attributes:
        gaps: largest difference of a logit, for each edit that could be taken out so; ``nan`` where it is no number.
        failed: how many could not.
    """

    gaps: tuple[float, ...]
    failed: int = 0

    @property
    def tried(self) -> int:
        """How many edits were to be taken out so."""
        return len(self.gaps) + self.failed

    @property
    def is_exact(self) -> bool:
        """Whether every logit was the unedited model's each time."""
        return bool(self.gaps) and not self.failed and all(gap == 0 for gap in self.gaps)

    def __str__(self) -> str:
        """The largest difference, and how many could not be taken out."""
        if not self.tried:
            return MISSING
        failed = f"failed on {self.failed} of {self.tried}"
        if not self.gaps:
            return failed
        largest = max(self.gaps, key=lambda gap: math.inf if math.isnan(gap) else gap)
        return f"{number(largest)}, {failed}" if self.failed else number(largest)


@dataclass(frozen=True)
class Undone:
    """How a run's edits were undone.

    Attributes:
        method: in the method's own way; of nothing where it was not tried, as of a stream.
        run: after that, by the copies that the run keeps of all weights.
        prompts: how many were compared at most.
    """

    method: WayBack
    run: WayBack
    prompts: int


def undone(run: Run) -> Undone | None:
    """What a run's ledger says of its undoing; none where it was not checked."""
    entries = [line["undo"] for line in run.at(UNDONE)]
    if not entries:
        return None
    failed = sum("own_error" in entry for entry in entries)
    prompts = max(entry["prompts"] for entry in entries)
    return Undone(WayBack(_gaps(entries, "own"), failed), WayBack(_gaps(entries, "run")), prompts)


def undo_sentence(undos: Mapping[str, Undone]) -> str:
    """Which methods leave nothing, in words; of the way that is the method's own, where it was tried."""
    ways = {label: undo.method if undo.method.tried else undo.run for label, undo in undos.items()}
    exact = [label for label, way in ways.items() if way.is_exact]
    left = [f"{label} ({way})" for label, way in ways.items() if not way.is_exact]
    if not left:
        return f"Undo is exact: after it every logit that was compared is the unedited model's, for {listed(exact)}."
    told = f"Undo leaves something behind (largest difference of a logit): {listed(left)}."
    return f"{told} It leaves nothing for {listed(exact)}." if exact else told


def _gaps(entries: Sequence[Mapping[str, Any]], way: str) -> tuple[float, ...]:
    return tuple(math.nan if entry[way] is None else entry[way] for entry in entries if way in entry)
