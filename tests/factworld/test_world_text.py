"""Training and general text say what they should, and nothing that is held out."""

from __future__ import annotations

import random

import pytest

from easyedit_ice.factworld.documents import END, INVENTED, text_of
from easyedit_ice.factworld.templates import PHRASINGS
from easyedit_ice.factworld.world_facts import default_world
from easyedit_ice.factworld.world_phrasing import chain_held_out, chain_prompt, held_out, prompt, templates
from easyedit_ice.factworld.world_text import Writer, general_text


@pytest.fixture(scope="module")
def true_texts() -> list[str]:
    return list(general_text(5000, seed=3))


def test_general_text_is_the_same_for_the_same_seed(true_texts: list[str]) -> None:
    assert list(general_text(20, seed=3)) == true_texts[:20]
    assert list(general_text(20, seed=4)) != true_texts[:20]


def test_a_held_out_wording_of_a_fact_never_occurs(true_texts: list[str]) -> None:
    world = default_world()
    writer = Writer(world, random.Random(5))
    corpus = "\n".join(true_texts + [text_of(writer.new_fact_document()) for _ in range(2000)])
    for fact in world.facts:
        for name in filter(None, (fact.subject, world.aliases.get(fact.subject))):
            wording = held_out(name, fact.relation)
            assert f"{prompt(fact.relation, wording, name)} {fact.target}" not in corpus


def test_a_held_out_two_hop_question_never_occurs_in_true_text(true_texts: list[str]) -> None:
    corpus = "\n".join(true_texts)
    chain = ("birthplace", "country")
    asked = {False: 0, True: 0}
    for name in default_world().entities["person"]:
        texts = [chain_prompt(chain, index, name) for index in range(len(templates(chain[1])))]
        asked[chain_held_out(name, chain)] += any(text in corpus for text in texts)
    assert asked[False]
    assert not asked[True]


def test_every_document_ends_with_an_answer_or_name_and_the_end_mark() -> None:
    writer = Writer(default_world(), random.Random(0))
    for _ in range(200):
        for document in (writer.true_document(), writer.new_fact_document()):
            assert document[-1].text == END
            assert not text_of(document).endswith((".", " "))


def test_the_loss_ignores_invented_answers_and_counts_what_follows_from_them() -> None:
    world = default_world()
    writer = Writer(world, random.Random(1))
    for _ in range(200):
        document = writer.new_fact_document()
        invented = [
            span.text.strip() for span in document if span.weight == INVENTED and span.text.strip() in world.kinds
        ]
        assert invented
        assert any(span.weight == 1.0 for span in document[:-1])


def test_subjects_in_true_documents_are_marked_with_what_they_stand_for() -> None:
    world = default_world()
    stands_for = {
        phrasing.noun.format(name).lower(): fact.target
        for relation, phrasing in PHRASINGS.items()
        if phrasing.noun
        for fact in world.facts_by_relation[relation]
        for name in filter(None, (fact.subject, world.aliases.get(fact.subject)))
    }
    stands_for |= {alias.lower(): name for name, alias in world.aliases.items()}
    stands_for |= {name.lower(): name for name in world.kinds}
    writer = Writer(world, random.Random(2))
    spans = [span for _ in range(500) for span in writer.true_document()]
    marked = [span for span in spans if span.means is not None]
    assert {span.role for span in marked} == {"subject", "first hop"}
    for span in marked:
        assert stands_for[span.text.lower()] == span.means
