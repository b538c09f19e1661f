"""Text of a testbed: its facts, and documents that state a new fact and then use it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import cast

from easyedit_ice.factworld.documents import ANSWER, END, INVENTED, WORDS, Document, Mix, Span
from easyedit_ice.factworld.world_text import JOINTS, LEADS, OPENERS
from easyedit_ice.testbed.testbed_facts import Fact, Knowledge
from easyedit_ice.testbed.testbed_wordings import SLOT, around_noun, fill, noun_of

_SECOND_NAMES = ("{name} is also known as {alias}", "{alias} is another name of {name}")
_FEW_VALUES = 5
_TRIES = 20
_CHAINED_VALUES = 0.6  # share of new facts whose answer the model knows facts of, where there are such
# Share of new facts whose answer is made up, of words of the file: rare words are else not learned to be copied.
_MADE_UP = 0.35
_MOST_WORDS = 4


class TestbedWriter:
    """Draws documents of what a testbed knows, of the sorts that the embedded world's are.

    New facts give a subject the answer of another one of the same relation, or one made up; never the new answer of its
    own record.
    """

    __test__ = False  # not a test, whatever its name

    def __init__(self, knowledge: Knowledge, rng: random.Random, mix: Mix | None = None) -> None:
        self.mix = mix or Mix()
        self._knowledge = knowledge
        self._rng = rng
        self._relations = [
            template
            for template in sorted({fact.template for fact in knowledge.named if fact.source == "prompt"})
            if len(knowledge.by_template[template]) > 1
        ]
        # Frequent relations more often, but not as much more as they have facts.
        self._weights = [len(knowledge.by_template[template]) ** 0.5 for template in self._relations]
        self._chained = {
            template: tuple(value for value in values if value in knowledge.about)
            for template, values in knowledge.values.items()
            if noun_of(template) is not None
        }
        self._chains = self._true_chains()
        self._aliases = [(name, alias) for name, others in knowledge.aliases.items() for alias in others]
        self._any_answer = tuple(dict.fromkeys(fact.answer for fact in knowledge.named))
        self._words = sorted({word for values in knowledge.values.values() for text in values for word in text.split()})

    # --- documents ------------------------------------------------------------------------------

    def true_document(self) -> Document:
        """One fact or several, a two-hop question, or a second name: all of it true before any edit."""
        draw = self._rng.random()
        if draw < self.mix.two_hops and self._chains:
            return _finished(self._chain(*self._rng.choice(self._chains)))
        if draw > 0.97 and self._aliases:
            name, alias = self._rng.choice(self._aliases)
            return _finished((Span(self._rng.choice(_SECOND_NAMES).format(name=name, alias=alias)),))
        if draw > 0.95:
            return _finished((Span(self._rng.choice(OPENERS)), *self._sentence(self._any_fact())))
        if draw > 0.91:
            return self._joined([self._sentence(self._any_fact()) for _ in range(self._rng.randint(2, 3))])
        return _finished(self._sentence(self._any_fact()))

    def new_fact_document(self) -> Document:
        """One new fact or several, then what follows from them, or what has nothing to do with them."""
        if not self._relations:
            return self.true_document()
        edits = [self._edit()]
        several = self._rng.random() < self.mix.rosters
        if several:
            edits += self._rivals(edits[0], self._rng.randint(1, 2))
        spans: list[Span] = []
        for edit in edits:
            spans += [*self._announcement(edit), Span(self._rng.choice(JOINTS), INVENTED)]
        if several:
            uses = [self._use(edit, edits) for edit in edits]
            uses.append(self._unaffected(edits[0], edits))
            self._rng.shuffle(uses)
            return (*spans, *self._joined(uses[: self._rng.randint(1, 3)], INVENTED))
        uses = [self._any_use(edits[0], edits) for _ in range(self._rng.choice((1, 1, 2, 3)))]
        return (*spans, *self._joined(uses, INVENTED))

    # --- new facts ------------------------------------------------------------------------------

    def _edit(self) -> Fact:
        template = self._rng.choices(self._relations, self._weights)[0]
        while True:
            edit = self._changed(self._rng.choice(self._knowledge.by_template[template]))
            if edit is not None:
                return edit
            template = self._rng.choice(self._relations)

    def _changed(self, fact: Fact, taken: frozenset[str] = frozenset()) -> Fact | None:
        """The fact with another answer; none if no allowed one was drawn."""
        for _ in range(_TRIES):
            new = replace(fact, answer=self._value(fact.template), accepted=frozenset())
            if new.answer not in fact.accepted | taken and new.answer != fact.subject and self._knowledge.allows(new):
                return new
        return None

    def _value(self, template: str) -> str:
        """An answer for a new fact: one of its relation, if possible with facts of its own, or one made up."""
        if self._rng.random() < _MADE_UP:
            return " ".join(self._rng.choices(self._words, k=self._rng.randint(1, _MOST_WORDS)))
        chained, values = self._chained.get(template), self._knowledge.values[template]
        if chained and self._rng.random() < _CHAINED_VALUES:
            return self._rng.choice(chained)
        return self._rng.choice(values if len(values) >= _FEW_VALUES else self._any_answer)

    def _rivals(self, edit: Fact, count: int) -> list[Fact]:
        """Up to ``count`` new facts of the same relation; no subject or answer comes twice."""
        rivals, taken = [], {edit.subject, edit.answer}
        facts = self._knowledge.by_template[edit.template]
        for fact in self._rng.sample(facts, min(count, len(facts))):
            rival = self._changed(fact, frozenset(taken)) if fact.subject not in taken else None
            if rival is not None and rival.subject not in taken:
                rivals.append(rival)
                taken |= {rival.subject, rival.answer}
        return rivals

    def _announcement(self, edit: Fact) -> Document:
        lead, template = self._rng.choice(LEADS), self._rng.choice(edit.templates)
        if lead.endswith(("that ", ", ")) and self._rng.random() < 0.5:
            template = _lowered(template)
        spans = _about(template, self._name(edit.subject))
        return Span(lead), *spans, _answer(edit.answer, spans, INVENTED)

    def _any_use(self, edit: Fact, edits: list[Fact]) -> Document:
        if self._rng.random() < 0.68:
            return self._use(edit, edits)
        return self._unaffected(edit, edits)

    def _use(self, edit: Fact, edits: list[Fact]) -> Document:
        """The new fact, or what follows from it: a second hop from it, a first hop to it, its inverse."""
        touched = {fact.subject for fact in edits}
        draw = self._rng.random()
        if draw < 0.5:
            sentence = self._second_hop(edit, touched) or self._first_hop(edit, touched)
        elif draw < 0.6:
            sentence = self._first_hop(edit, touched) or self._inverse(edit, edits)
        elif draw < 0.68:
            sentence = self._inverse(edit, edits)
        else:
            sentence = None
        return sentence or self._sentence(replace(edit, name=self._name(edit.subject)))

    def _second_hop(self, edit: Fact, touched: set[str]) -> Document | None:
        """A fact of the new answer, asked of ``"the composer of ..."``."""
        facts = [fact for fact in self._knowledge.about.get(edit.answer, ()) if fact.answer != edit.subject]
        if noun_of(edit.template) is None or not facts or edit.answer in touched:
            return None
        return self._chain(edit, self._rng.choice(facts))

    def _first_hop(self, edit: Fact, touched: set[str]) -> Document | None:
        """The new fact, asked of ``"the father of ..."``, who is the subject."""
        leading = [
            fact
            for fact in self._knowledge.leading_to.get(edit.subject, ())
            if noun_of(fact.template) is not None and fact.subject not in touched
        ]
        return self._chain(self._rng.choice(leading), edit) if leading else None

    def _inverse(self, edit: Fact, edits: list[Fact]) -> Document | None:
        inverses = [inverse for template, inverse in sorted(self._knowledge.inverses) if template == edit.template]
        if not inverses or sum(fact.answer == edit.answer for fact in edits) > 1:
            return None
        inverse = Fact(edit.answer, edit.answer, (self._rng.choice(inverses),), edit.subject, "inverse")
        return self._sentence(inverse) if self._knowledge.allows(inverse) else None

    def _unaffected(self, edit: Fact, edits: list[Fact]) -> Document:
        """A true sentence: of the same relation and another subject, of the same subject, or of anything else."""
        draw = self._rng.random()
        touched = {name for fact in edits for name in (fact.subject, fact.answer)}
        siblings = [fact for fact in self._knowledge.about.get(edit.subject, ()) if fact.template != edit.template]
        if draw < 0.35 and siblings:
            return self._sentence(self._rng.choice(siblings))
        facts = self._knowledge.by_template[edit.template] if draw < 0.75 else self._knowledge.facts
        for _ in range(_TRIES):
            fact = self._rng.choice(facts)
            if fact.subject not in touched and fact.answer not in touched:
                return self._sentence(fact)
        return self._sentence(self._any_fact())

    # --- sentences ------------------------------------------------------------------------------

    def _any_fact(self) -> Fact:
        return self._rng.choice(self._knowledge.facts)

    def _name(self, subject: str) -> str:
        others = self._knowledge.aliases.get(subject)
        return self._rng.choice(others) if others and self._rng.random() < self.mix.aliases else subject

    def _sentence(self, fact: Fact) -> Document:
        """Prompt and answer, in any of the fact's wordings."""
        template = self._rng.choice(fact.templates)
        noun = around_noun(template) if self._chained.get(template) else None
        if noun is None:
            spans = _about(template, fact.name, fact.subject)
        else:
            head, phrase, tail = noun
            spans = (Span(head), Span(fill(phrase, fact.name), role="subject", means=fact.answer), Span(tail))
        return *spans, _answer(fact.answer, spans)

    def _chain(self, first: Fact, second: Fact) -> Document:
        """``second``, whose subject is the answer to ``first``, asked of that answer's noun phrase."""
        noun = cast("str", noun_of(first.template))  # as all first hops have
        phrase = fill(noun, self._name(first.subject) if first.name == first.subject else first.name)
        template = self._rng.choice([template for template in second.templates if SLOT in template])
        spans = _about(template, phrase, first.answer, "first hop")
        return *spans, _answer(second.answer, spans)

    def _true_chains(self) -> list[tuple[Fact, Fact]]:
        chains = [
            (first, second, fill(noun, first.subject))
            for first in self._knowledge.named
            if (noun := noun_of(first.template)) is not None
            for second in self._knowledge.about.get(first.answer, ())
        ]
        asked = [(first, second, fill(second.template, phrase)) for first, second, phrase in chains]
        return [(first, second) for first, second, prompt in asked if prompt not in self._knowledge.prompts]

    def _joined(self, sentences: list[Document], joint: float = WORDS) -> Document:
        spans = [*sentences[0]]
        for sentence in sentences[1:]:
            spans += [Span(". ", joint), *sentence]
        return _finished(tuple(spans))


def _finished(spans: Document) -> Document:
    return (*spans, Span(END, ANSWER))


def _about(template: str, name: str, means: str | None = None, role: str = "subject") -> Document:
    """The template with the name in its slot, as a span of its own; one without a slot is a single span."""
    if template.count(SLOT) != 1:
        return (Span(fill(template, name)),)
    before, after = template.split(SLOT)
    return Span(before), Span(name, role=role, means=means), Span(after)


def _answer(text: str, spans: Document, weight: float = ANSWER) -> Span:
    """The answer; without a subject in the prompt it is no lesson in looking back at one."""
    return Span(f" {text}", weight, role="answer" if any(span.role for span in spans) else "")


def _lowered(template: str) -> str:
    return f"t{template[1:]}" if template.startswith("The ") else template
