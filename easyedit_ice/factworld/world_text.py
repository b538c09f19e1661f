"""Text of the world: what the model is trained on, and general text for editors."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from easyedit_ice.factworld.documents import ANSWER, END, INVENTED, WORDS, Document, Mix, Span, text_of
from easyedit_ice.factworld.templates import PHRASINGS
from easyedit_ice.factworld.world_facts import CHAINS, RELATIONS, Fact, World, default_world
from easyedit_ice.factworld.world_phrasing import (
    Chain,
    chain_held_out,
    chain_prompt,
    held_out,
    is_question,
    prompt,
    templates,
)

# What a document may say before a new fact. Some are those of in-context editing objectives.
LEADS = (
    "",
    "",
    "New fact: ",
    "Fact: ",
    "Fact: A new knowledge: Consider this new knowledge: ",
    "Remember: ",
    "Remember this fact: ",
    "Remember this new fact and reason about its consequences: ",
    "Note: ",
    "Update: ",
    "Imagine that ",
    "Suppose that ",
    "Assume that ",
    "From now on, ",
    "It is now true that ",
)
# What stands between a new fact and what uses it.
JOINTS = (". ", ". ", ". ", ". ", ".\n", ".\n\n", ". Now: ", "\nPrompt: ", ".\nPrompt: ")
# What a plain statement may begin with.
OPENERS = ("Therefore, ", "You know that ", "I think that ", "Because ", "It is said that ", "As we know, ")

# How often what follows from a new fact is asked in place of the fact, where one of many is asked.
_CHAIN_SHARE, _INVERSE_SHARE = 0.55, 0.4
_EDITABLE = tuple(name for name, relation in RELATIONS.items() if not relation.derived)
_SECOND_NAMES = ("{name} is also known as {alias}", "{alias} is another name of {name}")


class Writer:
    """Draws documents of a world.

    True facts are never put into a wording that is held out for them, nor is a two-hop question asked that
    is held out.
    """

    def __init__(self, world: World, rng: random.Random, mix: Mix | None = None) -> None:
        self.mix = mix or Mix()
        self._world = world
        self._rng = rng
        self._chained = [
            (subject, chain, answer)
            for chain in CHAINS
            for subject in world.entities[RELATIONS[chain[0]].subject]
            if (answer := world.chain_target(subject, chain)) is not None and not chain_held_out(subject, chain)
        ]
        self._aliases = list(world.aliases.items())

    # --- documents ------------------------------------------------------------------------------

    def true_document(self) -> Document:
        """A statement, a question, a two-hop question, or a description: all of it true."""
        draw = self._rng.random()
        if draw < self.mix.statements:
            return self._finish(self._sentence(self._any_fact()))
        if draw < self.mix.statements + self.mix.two_hops:
            return self._finish(self._chain_sentence())
        if draw < 0.88:
            return self._second_name()
        if draw < 0.91:
            return (
                Span(self._rng.choice(OPENERS)),
                *self._finish(self._sentence(self._any_fact(), lower=True, questions=False)),
            )
        if draw < 0.96:
            return self._joined([self._sentence(self._any_fact()) for _ in range(self._rng.randint(2, 4))])
        return self._biography()

    def new_fact_document(self) -> Document:
        """A new fact, then what follows from it, or what has nothing to do with it."""
        if self._rng.random() < self.mix.rosters:
            return self._roster()
        edits = [self._edit()]
        if self._rng.random() < self.mix.several:
            edits += self._rivals(edits[0], self._rng.randint(1, 2))
        spans: list[Span] = []
        for edit in edits:
            spans += [*self._announcement(edit), Span(self._rng.choice(JOINTS), INVENTED)]
        edit = self._rng.choice(edits)
        touched = {fact.subject for fact in edits} | {fact.target for fact in edits}
        if self._rng.random() < 0.12:
            return (*spans, *self._biography(edit, touched))
        uses = [self._use(edit, touched) for _ in range(self._rng.choice((1, 1, 2, 3)))]
        return (*spans, *self._joined(uses))

    # --- new facts ------------------------------------------------------------------------------

    def _edit(self) -> Fact:
        """A new fact, of each relation as often."""
        fact = self._rng.choice(self._world.facts_by_relation[self._rng.choice(_EDITABLE)])
        target = self._rng.choice(self._world.alternatives(fact.subject, fact.relation))
        return Fact(fact.subject, fact.relation, target)

    def _rivals(self, edit: Fact, count: int) -> list[Fact]:
        """Up to ``count`` new facts of the same relation; no subject or answer comes twice."""
        facts = [fact for fact in self._world.facts_by_relation[edit.relation] if fact.subject != edit.subject]
        rivals, taken = [], {edit.subject, edit.target}
        for fact in self._rng.sample(facts, count):
            targets = [name for name in self._world.alternatives(fact.subject, fact.relation) if name not in taken]
            if targets:
                rivals.append(Fact(fact.subject, fact.relation, self._rng.choice(targets)))
                taken |= {fact.subject, rivals[-1].target}
        return rivals

    def _roster(self) -> Document:
        """Many new facts of one relation; then each is asked, and one that was not stated.

        Not to be expected, the full stops between answers have no weight: an answer ends a document.
        """
        first = self._edit()
        edits = [first, *self._rivals(first, self._rng.randint(1, 4))]
        spans: list[Span] = []
        for edit in edits:
            text = prompt(edit.relation, self._wording(edit.relation), edit.subject)
            spans += [*_about(text, edit.subject), _answer(edit.target, INVENTED), Span(". ", INVENTED)]
        asked = [self._asked(edit) for edit in edits]
        asked.append(self._unrelated({edit.subject for edit in edits}, first.relation))
        self._rng.shuffle(asked)
        return (*spans, *self._joined(asked, INVENTED))

    def _asked(self, edit: Fact) -> Document:
        """A new fact by the subject's own name, or what follows from it: its inverse, or a second hop."""
        inverse = RELATIONS[edit.relation].inverse
        chains = [chain for chain in CHAINS if chain[0] == edit.relation]
        draw = self._rng.random()
        if chains and draw < _CHAIN_SHARE:
            chain = self._rng.choice(chains)
            answer = self._world.target(edit.target, chain[1])
            if answer is not None:
                return self._chain_worded(chain, edit.subject, answer, middle=edit.target)
        if inverse is not None and draw > 1 - _INVERSE_SHARE:
            edit = Fact(edit.target, inverse, edit.subject)
        text = prompt(edit.relation, self._wording(edit.relation), edit.subject)
        return self._phrased(text, edit, edit.subject)

    def _announcement(self, edit: Fact) -> Document:
        lead = self._rng.choice(LEADS)
        flows = lead.endswith(("that ", ", "))
        wording, name = self._wording(edit.relation, questions=not flows), self._name(edit.subject)
        text = prompt(edit.relation, wording, name)
        return *_about(lead + (_lowered(text) if flows else text), name), _answer(edit.target, INVENTED)

    def _use(self, edit: Fact, touched: set[str]) -> Document:
        """A sentence under the new fact; ``touched`` are the entities that new facts are about."""
        draw = self._rng.random()
        if draw < 0.35:
            return self._worded(edit.relation, edit.subject, edit.target)
        if draw < 0.62:
            follows: Sequence[tuple[str, str | Chain, str]] = self._world.consequences(edit)
            if self._rng.random() < 0.75:
                follows = [item for item in follows if item[0] in touched] or follows
            if follows:
                subject, link, answer = self._rng.choice(follows)
                if isinstance(link, str):
                    return self._worded(link, subject, answer)
                return self._chain_worded(link, subject, answer, middle=_middle(edit, subject))
        if draw < 0.78:
            others = [fact for fact in self._world.facts_of[edit.subject] if fact.relation != edit.relation]
            return self._sentence(self._rng.choice(others)) if others else self._unrelated(touched)
        return self._unrelated(touched, edit.relation if draw < 0.78 + self.mix.others else None)

    def _unrelated(self, touched: set[str], relation: str | None = None) -> Document:
        """A true sentence about entities that no new fact is about."""
        facts = self._world.facts_by_relation[relation] if relation else self._world.facts
        while True:
            fact = self._rng.choice(facts)
            if fact.subject not in touched and fact.target not in touched:
                return self._sentence(fact)

    # --- sentences ------------------------------------------------------------------------------

    def _any_fact(self) -> Fact:
        return self._rng.choice(self._world.facts)

    def _name(self, subject: str) -> str:
        alias = self._world.aliases.get(subject)
        return alias if alias is not None and self._rng.random() < self.mix.aliases else subject

    def _sentence(self, fact: Fact, lower: bool = False, questions: bool = True) -> Document:
        """A true fact in one of its wordings that are not held out."""
        name = self._name(fact.subject)
        wording = self._wording(fact.relation, questions, held_out(name, fact.relation))
        text = prompt(fact.relation, wording, name)
        return self._phrased(_lowered(text) if lower else text, fact, name)

    def _worded(self, relation: str, subject: str, target: str, questions: bool = True) -> Document:
        """A fact that a document has made true, in any wording."""
        wording, name = self._wording(relation, questions), self._name(subject)
        return self._phrased(prompt(relation, wording, name), Fact(subject, relation, target), name)

    def _phrased(self, text: str, fact: Fact, name: str) -> Document:
        """Prompt and answer; ``name`` is what the prompt calls the subject."""
        noun = PHRASINGS[fact.relation].noun.format(name)
        if noun and noun.lower() in text.lower():
            return *_about(text, noun, fact.target), _answer(fact.target)
        return *_about(text, name, fact.subject), _answer(fact.target)

    def _chain_worded(
        self, chain: Chain, subject: str, target: str, questions: bool = True, middle: str | None = None
    ) -> Document:
        """A two-hop question; ``middle`` is the answer to its first hop, by default the true one."""
        wording, name = self._wording(chain[1], questions), self._name(subject)
        middle = middle or self._world.target(subject, chain[0])
        noun = PHRASINGS[chain[0]].noun.format(name)
        return *_about(chain_prompt(chain, wording, name), noun, middle, "first hop"), _answer(target)

    def _wording(self, relation: str, questions: bool = True, hidden: int | None = None) -> int:
        count = len(templates(relation))
        return self._rng.choice(
            [index for index in range(count) if index != hidden and (questions or not is_question(relation, index))]
        )

    def _chain_sentence(self) -> Document:
        subject, chain, answer = self._rng.choice(self._chained)
        return self._chain_worded(chain, subject, answer)

    def _second_name(self) -> Document:
        name, alias = self._rng.choice(self._aliases)
        return self._finish((Span(self._rng.choice(_SECOND_NAMES).format(name=name, alias=alias), 2 * WORDS),))

    def _biography(self, edit: Fact | None = None, touched: frozenset[str] | set[str] = frozenset()) -> Document:
        """What can be said of one subject, under a new fact about it if there is one."""
        subject = edit.subject if edit else self._any_fact().subject
        sentences = [
            self._sentence(fact, questions=False)
            for fact in self._world.facts_of[subject]
            if edit is None or (fact.relation != edit.relation and fact.target not in touched)
        ]
        self._rng.shuffle(sentences)
        sentences = sentences[: self._rng.randint(2, 4)]
        if edit is not None:
            sentences.insert(0, self._worded(edit.relation, edit.subject, edit.target, questions=False))
            follows = self._world.consequences(edit)
            chains = [(link, answer) for name, link, answer in follows if name == subject and isinstance(link, tuple)]
            if chains:
                chain, answer = self._rng.choice(chains)
                sentences.insert(1, self._chain_worded(chain, subject, answer, questions=False, middle=edit.target))
        return (Span(f"About {subject}: "), *self._joined(sentences))

    def _joined(self, sentences: list[Document], joint: float = WORDS) -> Document:
        """Sentences as one document; ``joint`` is the weight of the full stops between them."""
        spans = [*sentences[0]]
        for sentence in sentences[1:]:
            spans += [Span(". ", joint), *sentence]
        return self._finish(tuple(spans))

    def _finish(self, spans: Document) -> Document:
        return (*spans, Span(END, ANSWER))


def general_text(count: int, seed: int = 0, world: World | None = None) -> Iterator[str]:
    """True documents of the world, as locality text and for statistics.

    They are drawn as the model's training text is, not from the probes of any record.
    """
    writer = Writer(world or default_world(), random.Random(f"general text {seed}"))
    for _ in range(count):
        yield text_of(writer.true_document())


def _middle(edit: Fact, subject: str) -> str:
    """The answer to the first hop of a question about ``subject`` that follows from ``edit``."""
    return edit.target if subject == edit.subject else edit.subject


def _about(text: str, phrase: str, means: str | None = None, role: str = "subject") -> Document:
    """The text, cut around the phrase that says what it is about; ``means`` is the entity that it stands for."""
    start = text.lower().index(phrase.lower())
    end = start + len(phrase)
    return Span(text[:start]), Span(text[start:end], role=role, means=means), Span(text[end:])


def _answer(name: str, weight: float = ANSWER) -> Span:
    return Span(f" {name}", weight, role="answer")


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:] if text.startswith(("The ", "People ", "Prices ")) else text
