"""Claims made from records: plausible other answers, other subjects, and sentences of other facts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from easyedit_ice.data.records import Record
from easyedit_ice.evaluation.leading_answer import plain
from easyedit_ice.evaluation.probes.claim import Claim
from easyedit_ice.evaluation.probes.wording import stated
from easyedit_ice.factworld.world_facts import RELATIONS
from easyedit_ice.factworld.world_phrasing import prompt as wording
from easyedit_ice.factworld.world_phrasing import templates

OTHERS = 3
"""Other answers of a claim: with an old answer two of them are options, without one all."""
_SUBJECTS = 2
_SENTENCES = 24
_LOOKED_AT = 1000
"""Names and sentences that are looked at for one claim, of files that have more."""
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
        self._answers = _Names()
        self._subjects = _Names()
        for record in records:
            self._answers.add(_relation(record), record["target_new"].strip(), *_old(record)[:1])
            if record.get("subject"):
                self._subjects.add(_relation(record), record["subject"])
        prompts = {record["prompt"] for record in edited}
        spared = [record for record in records if record["prompt"] not in prompts]
        sources = spared if len(spared) >= _SENTENCES else records
        drawn = random.Random(f"{seed} sentences").sample(range(len(sources)), min(_LOOKED_AT, len(sources)))
        stating = [_sentence(sources[place]) for place in drawn]
        self._sentences = [(text, plain(text, True)) for text in stating if text.isprintable()]

    def of(self, record: Record) -> Claim:
        """The claim of one of the edited records."""
        rng = random.Random(f"{self._seed} claim {record['prompt']} {record['target_new']}")
        answer, old = record["target_new"].strip(), _old(record)
        subject = record.get("subject")
        rival = old[0] if old and not _same(old[0], answer) else None
        relation = _relation(record)
        others = self._answers.drawn(rng, relation, OTHERS, (answer, *old))
        subjects = self._subjects.drawn(rng, relation, _SUBJECTS, (subject, answer, *old)) if subject else ()
        named = [name for name in (plain(text, True) for text in (subject or "", answer, *old)) if name]
        fitting = [text for text, words in self._sentences if not any(name in words for name in named)]
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


class _Names:
    """Names by relation, each once."""

    def __init__(self) -> None:
        self._pairs: set[tuple[str, str]] = set()
        self._by_relation: dict[str, list[str]] = {}
        self._all: list[str] = []

    def add(self, relation: str, *names: str) -> None:
        """Names of a relation."""
        for name in names:
            if (relation, name) not in self._pairs and name.isprintable():
                self._pairs.add((relation, name))
                self._by_relation.setdefault(relation, []).append(name)
                self._all.append(name)

    def drawn(self, rng: random.Random, relation: str, count: int, taken: Iterable[str]) -> tuple[str, ...]:
        """So many of them at random, of the relation where it has enough; none could be taken for one of ``taken``."""
        drawn_names: list[str] = []
        used = list(taken)
        for names in (self._by_relation.get(relation, []), self._all):
            for place in rng.sample(range(len(names)), min(_LOOKED_AT, len(names))):
                if len(drawn_names) < count and not any(_overlaps(names[place], other) for other in used):
                    drawn_names.append(names[place])
                    used.append(names[place])
        return tuple(drawn_names)


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


def _same(one: str, other: str) -> bool:
    """Whether two names differ in case, punctuation or the form of Unicode alone."""
    return one == other or (plain(one, True) or one) == (plain(other, True) or other)


def _overlaps(one: str, other: str) -> bool:
    """Whether a name is in the other one, or has no letter or digit by which to tell."""
    first, second = plain(one, True), plain(other, True)
    return first in second or second in first


def _ways_back(record: Record, answers: Iterable[str | None]) -> dict[str, str]:
    """By answer the embedded world's own question for the subject, where its relation has an inverse."""
    relation = RELATIONS.get(str(record.get("relation")))
    if relation is None or relation.inverse is None:
        return {}
    place = random.Random(f"back {record['prompt']}").randrange(len(templates(relation.inverse)))
    return {answer: wording(relation.inverse, place, answer) for answer in answers if answer}
