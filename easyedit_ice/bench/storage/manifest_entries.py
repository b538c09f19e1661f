"""What a run's manifest holds. Entries that runs of earlier versions lack are not required."""

from __future__ import annotations

from typing import Any, TypedDict

from typing_extensions import NotRequired


class ModeEntry(TypedDict):
    """How facts are put together; of a mode without batches the name is all."""

    name: str
    batch_size: NotRequired[int]
    retain_every: NotRequired[int]


class ModelEntry(TypedDict):
    """The model before any edit; ``chat``: whether it is edited and asked in a chat."""

    name: str
    fingerprint: NotRequired[str]
    parameters: NotRequired[int]
    dtype: NotRequired[str]
    device: NotRequired[str]
    tokenizer: NotRequired[str]
    chat: NotRequired[bool]


class KnownFactsEntry(TypedDict):
    """Facts that the unedited model answers right: how many, among how many, their hash, and their places."""

    facts: int
    asked: int
    hash: str
    indices: str


class DataEntry(TypedDict):
    """Which facts, and what is asked of them besides; ``known`` where only facts that the model knows are edited."""

    source: NotRequired[str]
    hash: NotRequired[str]
    facts: int
    untouched: NotRequired[int]
    untouched_hash: NotRequired[str]
    start: NotRequired[int]
    size: NotRequired[int | None]
    seed: NotRequired[int | None]
    order: NotRequired[int | None]
    known: NotRequired[KnownFactsEntry | None]
    probes: NotRequired[str]
    abilities: NotRequired[dict[str, Any]]
    judge: NotRequired[dict[str, Any]]


class Session(TypedDict):
    """A time at which the run was begun or resumed, and what it ran with."""

    started: NotRequired[str]
    versions: NotRequired[dict[str, str]]
    git: NotRequired[str | None]
    command: NotRequired[str]


class Manifest(Session):
    """All that a run's numbers depend on, with every session in which it was made."""

    algorithm: str
    kind: NotRequired[str]
    label: NotRequired[str]
    mode: ModeEntry
    model: ModelEntry
    data: DataEntry
    known_facts: NotRequired[KnownFactsEntry | None]
    evaluation: dict[str, Any]
    preset: NotRequired[str | None]
    made_from_shape: NotRequired[list[str]]
    hparams: NotRequired[dict[str, Any]]
    seed: NotRequired[int]
    host: NotRequired[str]
    threads: NotRequired[int]
    resumed: NotRequired[list[Session]]
