"""The facts of a run: which records are edited, which are only asked, and what is asked of each."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from easyedit_ice.bench.config import DataConfig
from easyedit_ice.bench.storage.line import Case
from easyedit_ice.bench.storage.manifest_entries import KnownFactsEntry
from easyedit_ice.bench.storage.run_manifest import data_hash
from easyedit_ice.data import Record, load_records, to_requests
from easyedit_ice.data.easyedit_requests import RequestDict
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import DataError, LongRunError, RunConfigError
from easyedit_ice.evaluation import Question, questions
from easyedit_ice.evaluation.knowledge import Knowledge
from easyedit_ice.evaluation.probes import Claim, Claims
from easyedit_ice.text.likely_answers import Asked

WORLD = "factworld"
"""The source of the embedded world's records."""
_ORDER = 0
"""Seed of the order in which known facts are looked for."""


@dataclass(frozen=True)
class Fact:
    """A fact at its place in a run.

    Attributes:
        position: place in the run, from 0; untouched facts are counted on their own.
        record: as read from its file.
        request: as EasyEdit takes it.
        asked: every question that scores it.
        claim: what its probes are made of; none where it is not probed.
    """

    position: int
    record: Record
    request: RequestDict
    asked: tuple[Question, ...]
    claim: Claim | None = None

    @cached_property
    def case(self) -> Case:
        """What a line of the ledger says of the fact."""
        return {
            "prompt": self.request["prompt"],
            "subject": self.request.get("subject"),
            "target_new": self.request["target_new"],
            "ground_truth": self.request.get("ground_truth"),
            "index": self.record["index"],
        }


@dataclass(frozen=True)
class KnownFacts:
    """Facts that the unedited model answers right.

    Attributes:
        records: as read from their file.
        asked: how many records were asked to find them.
    """

    records: tuple[Record, ...] = ()
    asked: int = 0

    @property
    def questions(self) -> tuple[Asked, ...]:
        """Their prompts and answers."""
        return tuple(_asked(record) for record in self.records)

    def entry(self) -> KnownFactsEntry:
        """What a manifest says of them: how many, among how many, their hash, and their places in their file."""
        indices = " ".join(str(record["index"]) for record in self.records)
        return {
            "facts": len(self.records),
            "asked": self.asked,
            "hash": data_hash(self.records),
            "indices": indices,
        }


@dataclass(frozen=True)
class Facts:
    """The facts of a run.

    Attributes:
        source: the file or benchmark they come from.
        edited: in the order in which they are written.
        untouched: others, that are never written.
        drawn: the records that are edited, in the order in which they were chosen, whatever the order of writing.
        examples: requests of further records, for methods that show some to the model.
        known_facts: yet others that the model knows, asked again after edits.
        chosen: the edited and untouched ones, where only known facts were taken.
        records: all of the source, in the order in which they were chosen from.
    """

    source: str
    edited: tuple[Fact, ...]
    untouched: tuple[Fact, ...]
    drawn: tuple[Record, ...]
    examples: tuple[RequestDict, ...]
    known_facts: KnownFacts = KnownFacts()
    chosen: KnownFacts | None = None
    records: tuple[Record, ...] = ()

    def with_claims(self, seed: int) -> Facts:
        """The same facts, those that are edited with what their probes are made of, drawn by a seed."""
        world = self.source.startswith(f"{WORLD}/")
        claims = Claims(self.records, [fact.record for fact in self.edited], seed, inverses=world)
        return replace(self, edited=tuple(replace(fact, claim=claims.of(fact.record)) for fact in self.edited))

    @property
    def subjects(self) -> list[str]:
        """Names that are edited."""
        return [name for fact in self.edited for name in (fact.request.get("subject"),) if name]

    @property
    def claims_hash(self) -> str | None:
        """Hash of what the probes are made of; none where none are asked."""
        by_record = {id(fact.record): fact.claim for fact in self.edited}
        claims = [asdict(claim) for record in self.drawn if (claim := by_record[id(record)]) is not None]
        return data_hash(claims) if claims else None

    @property
    def hash(self) -> str:
        """Hash of the records that are edited, in whatever order."""
        return data_hash(self.drawn)

    @property
    def untouched_hash(self) -> str:
        """Hash of the records that are not."""
        return data_hash([fact.record for fact in self.untouched])


def choose(
    config: DataConfig,
    known_facts: int = 0,
    knowledge: Callable[[], Knowledge] | None = None,
    most: int | None = None,
) -> Facts:
    """Read the records and choose among them as the configuration says.

    The known facts that are asked again after edits are the first that the model answers right among the records that
    are neither edited nor asked, nor about the same: in one order, drawn from no setting, so that all methods share
    them.

    Args:
        config: what to read and to choose.
        known_facts: how many known facts to find; fewer where there are no more.
        knowledge: what the unedited model knows; called if it is needed.
        most: how many facts there may be where the configuration gives no number; none for any.

    Raises:
        DataError: they cannot be read, or their text has no UTF-8 form.
        LongRunError: no number of facts is given, and there are more than ``most``.
        RunConfigError: there are fewer records than asked for, or none; or what the model knows is needed, and it is
            not there.
    """
    if (config.known or known_facts) and knowledge is None:
        raise RunConfigError("data.known and evaluation.known_facts need the unedited model; name it, or leave them")
    records = load_records(config.source, split=config.split, form=config.form)
    candidates = list(records.records[config.start :])
    if config.seed is not None:
        random.Random(config.seed).shuffle(candidates)
    _refuse_many(config, len(candidates), most)
    kind, chosen = "usable", None
    if config.known and knowledge is not None:
        wanted = None if config.size is None else config.size + config.untouched
        kind, chosen = "known", _known_facts(candidates, wanted, knowledge())
        candidates = list(chosen.records)
    size = len(candidates) - config.untouched if config.size is None else config.size
    if size < 1 or len(candidates) < size + config.untouched:
        raise RunConfigError(
            f"data.size is {config.size} and data.untouched {config.untouched}, but {records.path} has "
            f"{len(candidates)} {kind} records from data.start={config.start}; ask for fewer"
        )
    edited, untouched = candidates[:size], candidates[size : size + config.untouched]
    _refuse_surrogates(edited + untouched, records.path)
    others = _others(config, records, edited + untouched)
    to_ask_again = KnownFacts()
    if known_facts and knowledge is not None:
        to_ask_again = _known_facts(random.Random(_ORDER).sample(others, len(others)), known_facts, knowledge())
    again = {id(record) for record in to_ask_again.records}
    examples = to_requests(record for record in others if id(record) not in again)
    return Facts(
        source=records.path,
        edited=_facts(_ordered(edited, config.order)),
        untouched=_facts(untouched),
        drawn=tuple(edited),
        examples=tuple(examples),
        known_facts=to_ask_again,
        chosen=chosen,
        records=tuple(records.records),
    )


def _ordered(records: Sequence[Record], seed: int | None) -> Sequence[Record]:
    """The same records in the order of a seed."""
    return records if seed is None else random.Random(seed).sample(records, len(records))


def _refuse_many(config: DataConfig, count: int, most: int | None) -> None:
    if most is not None and config.size is None and count - config.untouched > most:
        raise LongRunError(
            f"data.size is not given, and {config.source} has {count} records; give data.size=100, say, or add "
            f"confirm=true to edit {'those that the model knows' if config.known else 'them all'}"
        )


def _refuse_surrogates(records: Sequence[Record], path: str) -> None:
    """Halves of characters, which JSON can hold and no tokenizer or file takes."""
    for record in records:
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = error.object[error.start : error.end]
            raise DataError(
                f"its text holds {half!a}, which is half of a character; mend the file", path, record["index"]
            ) from None


def _known_facts(records: Sequence[Record], count: int | None, knowledge: Knowledge) -> KnownFacts:
    """The first records whose old answer the model gives."""
    answered = [record for record in records if record.get("ground_truth") and record["ground_truth"][0].strip()]
    places, asked = knowledge.first([_asked(record) for record in answered], count)
    return KnownFacts(tuple(answered[place] for place in places), asked)


def _asked(record: Record) -> Asked:
    return record["prompt"], record["ground_truth"][0]


def _others(config: DataConfig, records: Sequence[Record], used: Sequence[Record]) -> list[Record]:
    """The world's dev facts; of any other source the records that are neither edited nor asked, nor about the same."""
    if config.source == WORLD:
        others: Sequence[Record] = load_records(
            config.source, split="dev" if config.split == "test" else "test"
        ).records
    else:
        others = records
    indices = {id(record) for record in used}
    prompts, subjects = ({record.get(key) for record in used} for key in ("prompt", "subject"))
    return [
        record
        for record in others
        if id(record) not in indices
        and record["prompt"] not in prompts
        and (record.get("subject") is None or record["subject"] not in subjects)
    ]


def _facts(records: Sequence[Record]) -> tuple[Fact, ...]:
    return tuple(
        Fact(position, record, request, questions(EditRequest.from_dict(record)))
        for position, (record, request) in enumerate(zip(records, to_requests(records), strict=True))
    )
