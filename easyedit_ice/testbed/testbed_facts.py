"""What a testbed knows: the original facts of a file of records, and what they are not to be joined with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from easyedit_ice.testbed.testbed_wordings import SLOT, fill


@dataclass(frozen=True)
class Fact:
    """An original fact.

    Attributes:
        subject: whom it is about, by its first name; empty if the file does not tell.
        name: what the prompt calls the subject.
        templates: its wordings with ``{}`` for the name, the record's own first.
        answer: what the model is to say.
        source: ``"prompt"``, ``"alias"``, ``"locality"``, ``"target"`` (of a record's new answer) or ``"bridge"``
            (that leads to a record's subject).
        accepted: every text that counts as the answer.
    """

    subject: str
    name: str
    templates: tuple[str, ...]
    answer: str
    source: str
    accepted: frozenset[str] = frozenset()

    @property
    def prompts(self) -> tuple[str, ...]:
        """The fact's prompts, one for each wording."""
        return tuple(fill(template, self.name) for template in self.templates)

    @property
    def template(self) -> str:
        """The first wording, by which facts are of one relation."""
        return self.templates[0]


@dataclass(frozen=True)
class Knowledge:
    """The original facts of a file.

    Attributes:
        facts: each prompt stands in one fact only.
        aliases: further names of a subject that no other subject shares.
        barred: (prompt, new answer) of every record, by every name of its subject: never to be taught.
        new_answers: the new answers of records by template, as values that facts of other subjects may take.
        inverses: (template, its inverse) pairs, as records' probes show them.
        notes: what was left out, and why.
    """

    facts: tuple[Fact, ...]
    aliases: Mapping[str, tuple[str, ...]]
    barred: frozenset[tuple[str, str]]
    new_answers: Mapping[str, tuple[str, ...]]
    inverses: frozenset[tuple[str, str]]
    notes: tuple[str, ...] = ()

    @cached_property
    def named(self) -> tuple[Fact, ...]:
        """Facts whose subject stands in the prompt by its first name, so that they can be asked of another name."""
        return tuple(fact for fact in self.facts if fact.name == fact.subject and SLOT in fact.template)

    @cached_property
    def by_template(self) -> Mapping[str, tuple[Fact, ...]]:
        """The ``named`` facts of each relation."""
        groups: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.named:
            groups[fact.template].append(fact)
        return {template: tuple(facts) for template, facts in groups.items()}

    @cached_property
    def about(self) -> Mapping[str, tuple[Fact, ...]]:
        """The ``named`` facts of each subject."""
        groups: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.named:
            groups[fact.subject].append(fact)
        return {subject: tuple(facts) for subject, facts in groups.items()}

    @cached_property
    def leading_to(self) -> Mapping[str, tuple[Fact, ...]]:
        """The ``named`` facts of each answer."""
        groups: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.named:
            groups[fact.answer].append(fact)
        return {answer: tuple(facts) for answer, facts in groups.items()}

    @cached_property
    def prompts(self) -> frozenset[str]:
        """Every prompt of a fact."""
        return frozenset(prompt for fact in self.facts for prompt in fact.prompts)

    @cached_property
    def values(self) -> Mapping[str, tuple[str, ...]]:
        """The answers that facts of a template may take, of original facts and of records' new answers."""
        return {
            template: tuple(dict.fromkeys([*(fact.answer for fact in facts), *self.new_answers.get(template, ())]))
            for template, facts in self.by_template.items()
        }

    def names(self, subject: str) -> tuple[str, ...]:
        """The subject's first name, then its aliases."""
        return (subject, *self.aliases.get(subject, ()))

    def allows(self, fact: Fact) -> bool:
        """Whether a document may state ``fact`` by any of its subject's names."""
        return not any(
            (fill(template, name), fact.answer) in self.barred
            for template in fact.templates
            for name in {fact.name, *self.names(fact.subject)}
        )

    def counts(self) -> dict[str, int]:
        """How many prompts there are from each source."""
        counts = Counter[str]()
        for fact in self.facts:
            counts[fact.source] += len(fact.templates)
        return dict(sorted(counts.items()))


class Ledger:
    """Facts as they are collected: the first answer of a prompt stays, another one is noted and left out."""

    def __init__(self, barred: frozenset[tuple[str, str]]) -> None:
        self.notes: list[str] = []
        self._barred = barred
        self._facts: dict[str, Fact] = {}
        self._keys: dict[str, str] = {}

    def add(self, fact: Fact) -> None:
        """Take the fact in, in those of its wordings that are new and whose answer may be taught."""
        templates = [template for template in fact.templates if self._is_new(template, fact)]
        if templates:
            key = fill(templates[0], fact.name)
            self._facts[key] = replace(fact, templates=tuple(templates))
            self._keys |= {fill(template, fact.name): key for template in templates}

    def facts(self) -> tuple[Fact, ...]:
        """The facts that were taken in, in their order."""
        return tuple(self._facts.values())

    def _is_new(self, template: str, fact: Fact) -> bool:
        prompt = fill(template, fact.name)
        key = self._keys.get(prompt)
        if key is not None:
            self._meet(key, prompt, fact)
            return False
        if (prompt, fact.answer) in self._barred and fact.source != "prompt":
            self.notes.append(f"{prompt!r}: {fact.answer!r} is the new answer of a record; left out")
            return False
        return True

    def _meet(self, key: str, prompt: str, other: Fact) -> None:
        """A known prompt comes again: with the same answer, of which more texts may be known now, or with another."""
        earlier = self._facts[key]
        if earlier.accepted & other.accepted:
            self._facts[key] = replace(earlier, accepted=earlier.accepted | other.accepted)
        else:
            self.notes.append(
                f"{prompt!r}: kept {earlier.answer!r} ({earlier.source}), not {other.answer!r} ({other.source})"
            )


def single(answers: Sequence[Sequence[str]]) -> tuple[str, frozenset[str]]:
    """The answer a probe is scored by, and every text that it accepts."""
    return answers[0][0].strip(), frozenset(alias.strip() for aliases in answers for alias in aliases)
