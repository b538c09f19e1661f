"""What a reader returns: the usable records of a file, and the problems of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypedDict, overload

from typing_extensions import NotRequired


class ProbeRecord(TypedDict):
    """A question that scores the edit, with the aliases of each answer; no probe is without answers."""

    prompt: str
    ground_truth: list[list[str]]


ProbeRecords = dict[str, list[ProbeRecord]]
"""Probes by kind; no kind is empty."""


class Record(TypedDict):
    """One fact with its probes, whatever form its file has.

    ``index`` is its position in the file; ``prompt``, ``target_new``, ``subject`` and ``rephrase_prompt`` are not
    blank; ``ground_truth`` has the aliases of the answer before the edit. What the file lacks is absent. Further keys
    of the file are passed on as they are; ``context``, statements of the new fact, and the relation's name are used.
    """

    index: int
    prompt: str
    target_new: str
    subject: NotRequired[str]
    rephrase_prompt: NotRequired[str]
    ground_truth: NotRequired[list[str]]
    locality: ProbeRecords
    portability: ProbeRecords
    context: NotRequired[Any]
    relation: NotRequired[Any]
    relation_id: NotRequired[Any]


class Severity(str, Enum):
    """What a problem costs."""

    RECORD = "record left out"
    PROBE = "probe left out"
    NOTE = "note"

    __str__ = str.__str__


@dataclass(frozen=True)
class DataProblem:
    """One thing wrong with a file.

    Attributes:
        path: the file, or the name of the benchmark.
        index: position of the record in it.
        severity: what became of the record.
        reason: what is wrong, with the offending value.
    """

    path: str
    index: int
    severity: Severity
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: record {self.index}: {self.reason} ({self.severity})"


@dataclass(frozen=True)
class Records(Sequence[Record]):
    """Records in the order of their file. A slice is again a ``Records``, with the problems of its own.

    Attributes:
        path: the file, or the name of the benchmark.
        records: the usable ones.
        problems: everything found wrong; each record of the file is either among ``records`` or has a problem
            of severity ``Severity.RECORD``.
    """

    path: str
    records: tuple[Record, ...]
    problems: tuple[DataProblem, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, item: int) -> Record: ...

    @overload
    def __getitem__(self, item: slice) -> Records: ...

    def __getitem__(self, item: int | slice) -> Record | Records:
        if not isinstance(item, slice):
            return self.records[item]
        chosen = self.records[item]
        indices = {record["index"] for record in chosen}
        theirs = tuple(problem for problem in self.problems if problem.index in indices)
        return Records(self.path, chosen, theirs)

    def problems_of(self, severity: Severity) -> tuple[DataProblem, ...]:
        """The problems of one severity."""
        return tuple(problem for problem in self.problems if problem.severity is severity)

    def summary(self) -> str:
        """One line: how many records, and how many problems of each severity."""
        counts = Counter(problem.severity for problem in self.problems)
        tally = ", ".join(f"{counts[severity]} x {severity}" for severity in Severity if counts[severity])
        return f"{self.path}: {len(self)} records" + (f"; {tally}" if tally else "")
