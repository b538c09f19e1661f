"""The facts of a run: which records are edited, which are only asked, and what is asked of each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from easyedit_ice.bench.config import DataConfig
from easyedit_ice.bench.manifest import data_hash
from easyedit_ice.data import Record, load_records, to_requests
from easyedit_ice.errors import RunConfigError
from easyedit_ice.evaluation import Question, questions
from easyedit_ice.requests import EditRequest


@dataclass(frozen=True)
class Fact:
    """A fact at its place in a run.

    Attributes:
        position: place in the run, from 0; untouched facts are counted on their own.
        record: as read from its file.
        request: as EasyEdit takes it.
        asked: every question that scores it.
    """

    position: int
    record: Record
    request: dict[str, Any]
    asked: tuple[Question, ...]

    @cached_property
    def case(self) -> dict[str, Any]:
        """What a line of the ledger says of the fact."""
        named = {key: self.request.get(key) for key in ("prompt", "subject", "target_new", "ground_truth")}
        return named | {"index": self.record["index"]}


@dataclass(frozen=True)
class Facts:
    """The facts of a run.

    Attributes:
        source: the file or benchmark they come from.
        edited: in the order in which they are written.
        untouched: others, that are never written.
        examples: requests of further records, for methods that show some to the model.
    """

    source: str
    edited: tuple[Fact, ...]
    untouched: tuple[Fact, ...]
    examples: tuple[dict[str, Any], ...]

    @property
    def hash(self) -> str:
        """Hash of the records that are edited."""
        return data_hash([fact.record for fact in self.edited])

    @property
    def untouched_hash(self) -> str:
        """Hash of the records that are not."""
        return data_hash([fact.record for fact in self.untouched])


def choose(config: DataConfig) -> Facts:
    """Read the records and choose among them as the configuration says.

    Raises:
        DataError: they cannot be read.
        RunConfigError: there are fewer records than asked for, or none.
    """
    records = load_records(config.source, split=config.split, form=config.form)
    found = list(records.records[config.start :])
    if config.seed is not None:
        random.Random(config.seed).shuffle(found)
    size = len(found) - config.untouched if config.size is None else config.size
    if size < 1 or len(found) < size + config.untouched:
        raise RunConfigError(
            f"data.size is {config.size} and data.untouched {config.untouched}, but {records.path} has {len(found)} "
            f"usable records from data.start={config.start}; ask for fewer"
        )
    edited, untouched = found[:size], found[size : size + config.untouched]
    return Facts(records.path, _facts(edited), _facts(untouched), _examples(config, records, edited + untouched))


def _examples(config: DataConfig, records: Sequence[Record], used: Sequence[Record]) -> tuple[dict[str, Any], ...]:
    """The world's dev facts; of any other source the records that are neither edited nor asked, nor about the same."""
    if config.source == "factworld":
        others: Sequence[Record] = load_records(
            config.source, split="dev" if config.split == "test" else "test"
        ).records
    else:
        others = records
    indices = {id(record) for record in used}
    prompts, subjects = ({record.get(key) for record in used} for key in ("prompt", "subject"))
    return tuple(
        to_requests(
            record
            for record in others
            if id(record) not in indices
            and record["prompt"] not in prompts
            and (record.get("subject") is None or record["subject"] not in subjects)
        )
    )


def _facts(records: Sequence[Record]) -> tuple[Fact, ...]:
    return tuple(
        Fact(position, record, request, questions(EditRequest.from_dict(record)))
        for position, (record, request) in enumerate(zip(records, to_requests(records), strict=True))
    )
