"""Facts to edit, with their probes, in KnowEdit's form."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from easyedit_ice.errors import DataError
from easyedit_ice.factworld.world_facts import RELATIONS, Fact, World, default_world
from easyedit_ice.factworld.world_phrasing import Chain, chain_prompt, is_question, prompt, templates

SPLITS = ("dev", "test")
_DEV_SHARE = 0.4
_MAX_CHAIN_PROBES = 3
_SUBJECT_KINDS = tuple(dict.fromkeys(relation.subject for relation in RELATIONS.values()))

Record = dict[str, Any]
Probes = dict[str, list[Record]]


def records(split: str, world: World | None = None) -> list[Record]:
    """Records of one split, always the same and in the same order.

    No entity is edited in both splits. The first records have one subject each; only after every subject
    of the split has come do subjects return, with another relation. New answers and the entities that
    probes rest on come from the other split, so that editing many facts of a split at once changes no
    probe's answer, as long as no subject comes twice.

    Args:
        split: ``"dev"`` or ``"test"``.
        world: the world to ask about; by default the one the shipped model knows.

    Raises:
        DataError: there is no such split.
    """
    if split not in SPLITS:
        raise DataError(f"there is no split {split!r}; choose one of {', '.join(map(repr, SPLITS))}")
    return deepcopy(list(_records(split, world or default_world())))


def write_records(path: str | Path, split: str, world: World | None = None) -> Path:
    """Write a split as a JSON file in KnowEdit's form and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records(split, world), indent=1), encoding="utf-8")
    return path


def split_of(world: World) -> dict[str, str]:
    """The split of every entity that facts are about."""
    rng = random.Random("splits")
    splits: dict[str, str] = {}
    for kind in _SUBJECT_KINDS:
        names = rng.sample(world.entities[kind], len(world.entities[kind]))
        cut = round(_DEV_SHARE * len(names))
        splits |= {name: "dev" if index < cut else "test" for index, name in enumerate(names)}
    return splits


@lru_cache(maxsize=4)
def _records(split: str, world: World) -> tuple[Record, ...]:
    return tuple(_RecordMaker(world, split).make_all())


class _RecordMaker:
    """Makes the records of a split; ``_outside`` are the entities that no record of the split edits."""

    def __init__(self, world: World, split: str) -> None:
        splits = split_of(world)
        self._world = world
        self._rng = random.Random(f"records {split}")
        self._subjects = [name for name, home in splits.items() if home == split]
        self._outside = {name for name, home in splits.items() if home != split}
        self._taken: set[str] = set()

    def make_all(self) -> list[Record]:
        """One record for each subject in random order, then the second of each that has one, and so on."""
        queues = [self._rng.sample(facts, len(facts)) for facts in map(self._editable, self._subjects)]
        records: list[Record] = []
        while queues := [queue for queue in queues if queue]:
            self._rng.shuffle(queues)
            for queue in queues:
                fact = queue.pop()
                targets = self._free_targets(fact)
                if targets:
                    records.append(self._make(fact, self._rng.choice(targets)))
        return records

    def _editable(self, subject: str) -> list[Fact]:
        return [fact for fact in self._world.facts_of[subject] if not RELATIONS[fact.relation].derived]

    def _free_targets(self, fact: Fact) -> list[str]:
        targets: Sequence[str] = self._world.alternatives(fact.subject, fact.relation)
        if RELATIONS[fact.relation].target in _SUBJECT_KINDS:
            targets = [name for name in targets if name in self._outside]
        if RELATIONS[fact.relation].inverse is not None:
            targets = [name for name in targets if name not in self._taken]
        return list(targets)

    def _make(self, fact: Fact, target: str) -> Record:
        edit = Fact(fact.subject, fact.relation, target)
        if RELATIONS[fact.relation].inverse is not None:
            self._taken.add(target)
        wordings = range(len(templates(fact.relation)))
        wording = self._rng.choice([index for index in wordings if not is_question(fact.relation, index)])
        rephrase = self._rng.choice([index for index in wordings if index != wording])
        return {
            "subject": fact.subject,
            "relation": fact.relation,
            "prompt": prompt(fact.relation, wording, fact.subject),
            "target_new": target,
            "ground_truth": fact.target,
            "rephrase_prompt": prompt(fact.relation, rephrase, fact.subject),
            "portability": self._portability(edit, wording),
            "locality": self._locality(fact, wording),
        }

    def _portability(self, edit: Fact, wording: int) -> Probes:
        kinds: Probes = {}
        alias = self._world.aliases.get(edit.subject)
        if alias is not None:
            kinds["Subject_Aliasing"] = [_probe(prompt(edit.relation, wording, alias), edit.target)]
        chains, inverses = [], []
        for subject, link, answer in self._world.consequences(edit):
            if isinstance(link, str):
                inverses.append(_probe(self._any_wording(link, subject), answer))
            elif subject == edit.subject or subject in self._outside:
                chains.append(_probe(self._any_chain_wording(link, subject), answer))
        if chains:
            kinds["Reasoning"] = self._rng.sample(chains, min(_MAX_CHAIN_PROBES, len(chains)))
        if inverses:
            kinds["Logical_Generalization"] = inverses
        return kinds

    def _locality(self, fact: Fact, wording: int) -> Probes:
        unaffected = [other for other in self._world.facts_of[fact.subject] if self._stays(other, fact)]
        others = [other for other in self._world.facts_by_relation[fact.relation] if self._stays(other, fact)]
        others = [other for other in others if other.subject in self._outside]
        stranger = self._rng.choice(others)
        probes = [
            _probe(self._any_wording(other.relation, other.subject), other.target)
            for other in self._rng.sample(unaffected, min(2, len(unaffected)))
        ]
        probes.append(_probe(prompt(stranger.relation, wording, stranger.subject), stranger.target))
        kinds = {"Relation_Specificity": probes}
        alike = [other for other in others if other.target == fact.target and other != stranger]
        if alike:
            other = self._rng.choice(alike)
            kinds["Forgetfulness"] = [_probe(prompt(other.relation, wording, other.subject), other.target)]
        return kinds

    def _stays(self, other: Fact, edited: Fact) -> bool:
        """Whether ``other`` holds after ``edited`` and any other fact of the split is edited."""
        tied = RELATIONS[other.relation].inverse is not None and other.target not in self._outside
        return other != edited and not tied

    def _any_wording(self, relation: str, name: str) -> str:
        return prompt(relation, self._rng.randrange(len(templates(relation))), name)

    def _any_chain_wording(self, chain: Chain, name: str) -> str:
        return chain_prompt(chain, self._rng.randrange(len(templates(chain[1]))), name)


def _probe(text: str, answer: str) -> Record:
    return {"prompt": text, "ground_truth": [[answer]]}
