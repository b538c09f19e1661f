"""What the model is asked when it is measured: nothing that its training text held in these words."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from easyedit_ice.factworld.documents import END
from easyedit_ice.factworld.world_facts import CHAINS, RELATIONS, Fact, World
from easyedit_ice.factworld.world_phrasing import chain_held_out, chain_prompt, held_out, prompt, templates
from easyedit_ice.factworld.world_text import JOINTS, LEADS, general_text


@dataclass(frozen=True)
class Question:
    """A prompt with its one right answer.

    Attributes:
        group: what the question belongs to, by which shares are reported.
    """

    group: str
    prompt: str
    answer: str


def recall_questions(world: World, aliases: bool = False) -> Iterator[Question]:
    """Every fact in the wording that is held out for it, grouped by relation and wording."""
    for fact in world.facts:
        name = world.aliases.get(fact.subject) if aliases else fact.subject
        if name is not None:
            wording = held_out(name, fact.relation)
            group = f"{fact.relation} | {templates(fact.relation)[wording]}"
            yield Question(group, prompt(fact.relation, wording, name), fact.target)


def two_hop_questions(world: World, rng: random.Random, practised: bool = False) -> Iterator[Question]:
    """Every two-hop question that is held out, once, in a drawn wording, grouped by chain."""
    for chain in CHAINS:
        for subject in world.entities[RELATIONS[chain[0]].subject]:
            answer = world.chain_target(subject, chain)
            if answer is not None and chain_held_out(subject, chain) != practised:
                wording = rng.randrange(len(templates(chain[1])))
                yield Question(" > ".join(chain), chain_prompt(chain, wording, subject), answer)


def context_questions(world: World, rng: random.Random, count: int) -> Iterator[Question]:
    """``count`` new facts, each in a drawn lead-in, with questions on what follows from it and what does not.

    Groups: the fact in the ``same wording``, in an ``other wording``, of the subject's ``alias``, the
    ``inverse`` fact, ``two hops`` from the fact, the fact as ``one of three`` of its relation; and, unaffected,
    ``another relation`` of its subject, and the same relation of ``another subject``.
    """
    editable = [fact for fact in world.facts if not RELATIONS[fact.relation].derived]
    for _ in range(count):
        fact = rng.choice(editable)
        relation, subject = fact.relation, fact.subject
        edit = Fact(subject, relation, rng.choice(world.alternatives(subject, relation)))
        wordings = range(len(templates(relation)))
        wording = rng.choice(wordings)
        lead = rng.choice([lead for lead in LEADS if not lead.endswith(("that ", ", "))])
        context = f"{lead}{prompt(relation, wording, subject)} {edit.target}{rng.choice(JOINTS)}"
        yield Question("same wording", context + prompt(relation, wording, subject), edit.target)
        other = rng.choice([index for index in wordings if index != wording])
        yield Question("other wording", context + prompt(relation, other, subject), edit.target)
        alias = world.aliases.get(subject)
        if alias is not None:
            yield Question("alias", context + prompt(relation, rng.choice(wordings), alias), edit.target)
        for name, link, answer in rng.sample(consequences := world.consequences(edit), min(2, len(consequences))):
            drawn = rng.randrange(len(templates(link if isinstance(link, str) else link[1])))
            if isinstance(link, str):
                yield Question("inverse", context + prompt(link, drawn, name), answer)
            else:
                yield Question("two hops", context + chain_prompt(link, drawn, name), answer)
        others = [other.subject for other in world.facts_by_relation[relation] if other.subject != subject]
        news = [f"{prompt(relation, wording, subject)} {edit.target}. "]
        for name in rng.sample(others, 2):
            news.append(f"{prompt(relation, wording, name)} {rng.choice(world.alternatives(name, relation))}. ")
        rng.shuffle(news)
        yield Question("one of three", "".join(news) + prompt(relation, wording, subject), edit.target)
        for group, true in _unaffected(world, rng, edit):
            text = prompt(true.relation, held_out(true.subject, true.relation), true.subject)
            yield Question(group, context + text, true.target)


def _unaffected(world: World, rng: random.Random, edit: Fact) -> Iterator[tuple[str, Fact]]:
    facts = [fact for fact in world.facts_of[edit.subject] if fact.relation != edit.relation]
    if facts:
        yield "another relation", rng.choice(facts)
    touched = {edit.subject, edit.target}
    others = world.facts_by_relation[edit.relation]
    yield (
        "another subject",
        rng.choice([fact for fact in others if not {fact.subject, fact.target} & touched]),
    )


def after(questions: Iterable[Question], rng: random.Random, documents: int, end: str = END) -> Iterator[Question]:
    """The questions, each after ``documents`` other true documents, with ``end`` after each of those."""
    for question in questions:
        before = "".join(f"{text}{end}" for text in general_text(documents, rng.randrange(10**9)))
        yield Question(question.group, before + question.prompt, question.answer)
