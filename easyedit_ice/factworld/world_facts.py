"""The world: entities, relations and facts, made by rule from a seed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from easyedit_ice.factworld.proper_names import INDUSTRIES, PROFESSIONS, NameMaker

DEFAULT_SEED = 0


@dataclass(frozen=True)
class Relation:
    """What can be said of a kind of entity.

    Attributes:
        subject: kind of the subject, such as ``"person"``.
        target: kind of the answer.
        inverse: the relation that leads back from the answer, if each answer leads back to one subject.
        derived: whether the relation only restates its inverse and is never edited itself.
    """

    subject: str
    target: str
    inverse: str | None = None
    derived: bool = False


RELATIONS: Mapping[str, Relation] = {
    "birthplace": Relation("person", "city"),
    "residence": Relation("person", "city"),
    "profession": Relation("person", "profession"),
    "employer": Relation("person", "company"),
    "university": Relation("person", "university"),
    "spouse": Relation("person", "person", inverse="spouse"),
    "mayor_of": Relation("person", "city", inverse="mayor", derived=True),
    "founded": Relation("person", "company", inverse="founder", derived=True),
    "country": Relation("city", "country"),
    "river": Relation("city", "river"),
    "mayor": Relation("city", "person", inverse="mayor_of"),
    "capital_of": Relation("city", "country", inverse="capital", derived=True),
    "headquarters": Relation("company", "city"),
    "industry": Relation("company", "industry"),
    "founder": Relation("company", "person", inverse="founded"),
    "campus": Relation("university", "city"),
    "capital": Relation("country", "city", inverse="capital_of"),
    "language": Relation("country", "language"),
    "currency": Relation("country", "currency"),
    "continent": Relation("country", "continent"),
}

# Two-hop questions: the second relation is asked of the answer to the first. They lead through cities, companies,
# universities and countries, each of which answers many first hops; a person would answer too few to learn from.
_HOPS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("birthplace", "residence", "headquarters", "campus"): ("country", "river", "mayor"),
    ("capital",): ("river", "mayor"),
    ("employer",): ("headquarters", "industry", "founder"),
    ("university",): ("campus",),
    ("country",): ("language", "currency", "continent"),
}
CHAINS: tuple[tuple[str, str], ...] = tuple(
    (first, second) for firsts, seconds in _HOPS.items() for first in firsts for second in seconds
)

_SIZES = {"person": 320, "city": 80, "company": 60, "university": 24, "country": 24}
_WORDS = {"river": 40, "language": 14, "currency": 14, "continent": 5}
_COUPLES = 120


@dataclass(frozen=True)
class Fact:
    """A statement about one subject, true in the world or not."""

    subject: str
    relation: str
    target: str


class World:
    """Entities and facts. Two worlds of one seed are equal.

    Attributes:
        entities: names by kind.
        aliases: a second name of people and companies.
        kinds: the kind of each entity.
    """

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        rng = random.Random(f"world {seed}")
        maker = NameMaker(rng)
        firsts = [maker.word("first") for _ in range(48)]
        surnames = [maker.word("surname") for _ in range(_SIZES["person"])]
        self.entities: dict[str, tuple[str, ...]] = {
            "person": tuple(f"{rng.choice(firsts)} {surname}" for surname in surnames),
            "city": tuple(maker.word("city") for _ in range(_SIZES["city"])),
            "company": tuple(maker.company() for _ in range(_SIZES["company"])),
            "university": tuple(maker.university() for _ in range(_SIZES["university"])),
            "country": tuple(maker.word("country") for _ in range(_SIZES["country"])),
            "profession": tuple(PROFESSIONS),
            "industry": tuple(INDUSTRIES),
            **{kind: tuple(maker.word(kind) for _ in range(count)) for kind, count in _WORDS.items()},
        }
        self.kinds = {name: kind for kind, names in self.entities.items() for name in names}
        self.aliases = {
            person: maker.nickname() if index % 2 else f"Dr. {person.split()[1]}"
            for index, person in enumerate(self.entities["person"])
        }
        self.aliases |= {company: company.split()[0] for company in self.entities["company"]}
        self._targets = dict(_draw_facts(self.entities, rng))

    def target(self, subject: str, relation: str) -> str | None:
        """The true answer, or ``None`` where the world holds no such fact (an unmarried person's spouse)."""
        return self._targets.get((subject, relation))

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """Every true fact, in a fixed order."""
        return tuple(Fact(subject, relation, target) for (subject, relation), target in self._targets.items())

    @cached_property
    def facts_of(self) -> Mapping[str, tuple[Fact, ...]]:
        """True facts by subject."""
        return _grouped(self.facts, "subject")

    @cached_property
    def facts_by_relation(self) -> Mapping[str, tuple[Fact, ...]]:
        """True facts by relation."""
        return _grouped(self.facts, "relation")

    @cached_property
    def _subjects(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        names_by_fact: dict[tuple[str, str], list[str]] = defaultdict(list)
        for fact in self.facts:
            names_by_fact[fact.relation, fact.target].append(fact.subject)
        return {key: tuple(names) for key, names in names_by_fact.items()}

    def subjects(self, relation: str, target: str) -> tuple[str, ...]:
        """Every subject whose true answer in ``relation`` is ``target``."""
        return self._subjects.get((relation, target), ())

    def chain_target(self, subject: str, chain: tuple[str, str]) -> str | None:
        """The true answer to a two-hop question, or ``None`` where a hop is missing."""
        middle = self.target(subject, chain[0])
        return None if middle is None else self.target(middle, chain[1])

    @cache  # noqa: B019 - worlds live as long as the process
    def alternatives(self, subject: str, relation: str) -> tuple[str, ...]:
        """Answers of the right kind that the fact could be edited to.

        They differ from the truth, and an answer that must lead back to one subject is still free.
        """
        kind = RELATIONS[relation]
        truth = self.target(subject, relation)
        return tuple(
            name
            for name in self.entities[kind.target]
            if name not in (truth, subject) and (kind.inverse is None or self.target(name, kind.inverse) is None)
        )

    def consequences(self, edit: Fact) -> tuple[tuple[str, str | tuple[str, str], str], ...]:
        """What follows from ``edit`` being true: (subject, relation or chain, answer) by rule.

        The inverse fact first, then chains that start with the edit, then chains that end with it.
        """
        consequences: list[tuple[str, str | tuple[str, str], str]] = []
        inverse = RELATIONS[edit.relation].inverse
        if inverse is not None:
            consequences.append((edit.target, inverse, edit.subject))
        for chain in CHAINS:
            if chain[0] == edit.relation:
                answer = self.target(edit.target, chain[1])
                if answer is not None:
                    consequences.append((edit.subject, chain, answer))
        for chain in CHAINS:
            if chain[1] == edit.relation:
                consequences += [(name, chain, edit.target) for name in self.subjects(chain[0], edit.subject)]
        return tuple(consequences)


def _draw_facts(entities: Mapping[str, tuple[str, ...]], rng: random.Random) -> Iterator[tuple[tuple[str, str], str]]:
    people, cities, countries = (entities["person"], entities["city"], entities["country"])
    for person in people:
        for relation in ("birthplace", "residence", "profession", "employer", "university"):
            yield (person, relation), rng.choice(entities[RELATIONS[relation].target])
    partners = rng.sample(people, 2 * _COUPLES)
    for one, other in zip(partners[::2], partners[1::2], strict=True):
        yield (one, "spouse"), other
        yield (other, "spouse"), one
    officials = iter(rng.sample(people, len(cities) + len(entities["company"])))
    home = dict(zip(rng.sample(cities, len(cities)), countries * len(cities), strict=False))
    for city in cities:
        mayor = next(officials)
        yield (city, "country"), home[city]
        yield (city, "river"), rng.choice(entities["river"])
        yield (city, "mayor"), mayor
        yield (mayor, "mayor_of"), city
    for company in entities["company"]:
        founder = next(officials)
        yield (company, "headquarters"), rng.choice(cities)
        yield (company, "industry"), rng.choice(entities["industry"])
        yield (company, "founder"), founder
        yield (founder, "founded"), company
    for university in entities["university"]:
        yield (university, "campus"), rng.choice(cities)
    for country in countries:
        capital = rng.choice([city for city in cities if home[city] == country])
        yield (country, "capital"), capital
        yield (capital, "capital_of"), country
        for relation in ("language", "currency", "continent"):
            yield (country, relation), rng.choice(entities[relation])


def _grouped(facts: tuple[Fact, ...], key: str) -> Mapping[str, tuple[Fact, ...]]:
    groups: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[getattr(fact, key)].append(fact)
    return {name: tuple(members) for name, members in groups.items()}


@cache
def default_world() -> World:
    """The world that the shipped model knows."""
    return World(DEFAULT_SEED)
