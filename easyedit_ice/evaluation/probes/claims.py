"""Claims made from records: plausible other answers, other subjects, and sentences of other facts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.wording import stated
from easyedit_ice.world.facts import RELATIONS
from easyedit_ice.world.phrasing import prompt as wording
from easyedit_ice.world.phrasing import templates

Record = Mapping[str, Any]

OTHERS = 3
"""Other answers of a claim: with an old answer two of them are options, without one all."""
_SUBJECTS = 2
_SENTENCES = 24
_SLOT = "\0"


class Claims:
    """Makes claims of records, each with what it needs of the others.

    Other answers are those of the same relation: by the key ``relation`` or ``relation_id``, else of prompts that
    differ in nothing but their subjects; where there are too few, of any record. None is, contains, or is contained in
    an answer of the fact. Sentences are true ones where old answers are known, of records that are not edited where
    there are enough, and name neither the subject nor an answer of the fact.

    Args:
        records: all records of the source.
        edited: those whose claims are asked for.
        seed: of everything drawn; equal seeds and records give equal claims.
        inverses: whether relations are the embedded world's, whose rules lead from some answers back to subjects.
    """

    def __init__(
        self, records: Sequence[Record], edited: Sequence[Record], seed: int, *, inverses: bool = False
    ) -> None:
        self._seed, self._inverses = seed, inverses
        self._answers: dict[str, dict[str, None]] = {}
        self._subjects: dict[str, dict[str, None]] = {}
        for record in records:
            answers = [record["target_new"].strip(), *_old(record)[:1]]
            self._answers.setdefault(_relation(record), {}).update(dict.fromkeys(answers))
            if record.get("subject"):
                self._subjects.setdefault(_relation(record), {})[record["subject"]] = None
        self._all_answers = list(dict.fromkeys(answer for own in self._answers.values() for answer in own))
        self._all_subjects = list(dict.fromkeys(subject for own in self._subjects.values() for subject in own))
        prompts = {record["prompt"] for record in edited}
        spared = [record for record in records if record["prompt"] not in prompts]
        self._sentences = [_sentence(record) for record in (spared if len(spared) >= _SENTENCES else records)]

    def of(self, record: Record) -> Claim:
        """The claim of one of the edited records."""
        rng = random.Random(f"{self._seed} claim {record['prompt']} {record['target_new']}")
        answer, old = record["target_new"].strip(), _old(record)
        subject = record.get("subject")
        rival = old[0] if old and not _same(old[0], answer) else None
        relation = _relation(record)
        others = _drawn(rng, (self._answers[relation], self._all_answers), OTHERS, (answer, *old))
        about = (self._subjects.get(relation, {}), self._all_subjects)
        subjects = _drawn(rng, about, _SUBJECTS, (subject, answer, *old)) if subject else ()
        named = [name.casefold() for name in (subject, answer, rival) if name]
        fitting = [text for text in self._sentences if not any(name in text.casefold() for name in named)]
        return Claim(
            prompt=record["prompt"],
            answer=answer,
            rival=rival,
            others=others,
            subject=subject,
            other_subjects=subjects,
            back=_ways_back(record, (answer, rival)) if self._inverses else {},
            statements=tuple(rng.sample(fitting, min(_SENTENCES, len(fitting)))),
            seed=str(self._seed),
        )


def _old(record: Record) -> list[str]:
    """All names of the old answer; none where it is not known."""
    return [alias.strip() for alias in record.get("ground_truth", ()) if alias.strip()]


def _relation(record: Record) -> str:
    """What a fact has in common with those whose answers could be its own."""
    named = record.get("relation") or record.get("relation_id")
    if isinstance(named, str) and named:
        return named
    subject = record.get("subject")
    return record["prompt"].replace(subject, _SLOT) if subject else ""


def _sentence(record: Record) -> str:
    return stated(record["prompt"], next(iter(_old(record)), record["target_new"]))


def _drawn(
    rng: random.Random, pools: Iterable[Iterable[str]], count: int, taken: Iterable[str | None]
) -> tuple[str, ...]:
    """So many names at random from the first pool that has some left, then from the next."""
    found: list[str] = []
    used = [name for name in taken if name]
    for pool in pools:
        names = list(pool)
        for name in rng.sample(names, len(names)):
            if len(found) < count and not any(_overlaps(name, other) for other in used):
                found.append(name)
                used.append(name)
    return tuple(found)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _overlaps(one: str, other: str) -> bool:
    first, second = one.casefold(), other.casefold()
    return first in second or second in first


def _ways_back(record: Record, answers: Iterable[str | None]) -> dict[str, str]:
    """By answer the embedded world's own question for the subject, where its relation has an inverse."""
    relation = RELATIONS.get(str(record.get("relation")))
    if relation is None or relation.inverse is None:
        return {}
    place = random.Random(f"back {record['prompt']}").randrange(len(templates(relation.inverse)))
    return {answer: wording(relation.inverse, place, answer) for answer in answers if answer}
