"""A run spread over processes: each works on its share of the facts, and all lines end in one ledger.

Started by ``accelerate launch``, or on CPUs by ``torchrun``. Lines are kept in a file for each process until all facts
are done, and are then appended to the ledger in the order in which one process would have written them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from easyedit_ice.bench.storage.ledger import LEDGER, Ledger
from easyedit_ice.bench.storage.line import PHASES, Line
from easyedit_ice.bench.storage.sealed_lines import read_sealed
from easyedit_ice.errors import LedgerError
from easyedit_ice.runtime.batching import batches
from easyedit_ice.runtime.distributed import current_state

Item = TypeVar("Item")
SHARDS = "shards"


@dataclass(frozen=True)
class Process:
    """One of the processes of a run.

    Attributes:
        index: from 0; the first one enters the folder and merges.
        count: how many there are.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> Process:
        """This process, as ``accelerate launch`` or ``torchrun`` started it; a plain start is the only one."""
        state = current_state()
        return cls(state.process_index, state.num_processes)

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            current_state().wait_for_everyone()

    def share(self, items: Sequence[Item], batch_size: int) -> list[Item]:
        """This process's part of the items: whole batches, dealt out in turn."""
        mine = list(batches(items, batch_size))[self.index :: self.count]
        return [item for batch in mine for item in batch]


def open_ledger(folder: Path, process: Process, origin: str = "") -> Ledger:
    """The file this process appends to, knowing what all of them have found, now or before they were killed.

    Args:
        folder: of the run.
        process: this one.
        origin: the checksum before the first line of each file.

    Raises:
        LedgerError: a file cannot be opened or read.
    """
    others = sorted((folder / SHARDS).glob("*.jsonl"))
    if process.count == 1 and not others:
        return Ledger(folder / LEDGER, origin)
    shard = folder / SHARDS / f"{process.index}-of-{process.count}.jsonl"
    shard.parent.mkdir(exist_ok=True)
    paths = [folder / LEDGER, *(path for path in others if path != shard)]
    lines = [line for path in paths if path.exists() for line in read_sealed(path, origin).lines]
    return Ledger(shard, origin, earlier=lines)


def has_lines(folder: Path) -> bool:
    """Whether a run's folder has a line of any process."""
    return any(path.is_file() and path.stat().st_size for path in (folder / LEDGER, *(folder / SHARDS).glob("*.jsonl")))


def merge(folder: Path, origin: str = "") -> None:
    """Append the lines of all processes to the ledger, in the order of the facts, and remove their files.

    Raises:
        LedgerError: the lines cannot be read or written; no file is removed.
    """
    shards = folder / SHARDS
    if not shards.is_dir():
        return
    lines: list[Line] = [line for path in sorted(shards.glob("*.jsonl")) for line in read_sealed(path, origin).lines]
    ledger = Ledger(folder / LEDGER, origin)
    try:
        ledger.append(sorted(lines, key=lambda line: (line["position"], PHASES.index(line["phase"]))))
    finally:
        ledger.close()
    try:
        shutil.rmtree(shards)
    except OSError as error:
        raise LedgerError(f"{shards} could not be removed ({error}); its lines are in the ledger: delete it") from error
