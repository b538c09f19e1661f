"""The world follows its rules."""

from __future__ import annotations

import pytest

from easyedit_ice.factworld.world_facts import CHAINS, RELATIONS, Fact, World, default_world


@pytest.fixture(scope="module")
def world() -> World:
    return default_world()


def test_the_same_seed_makes_the_same_world(world: World) -> None:
    again = World()
    assert again.facts == world.facts
    assert again.aliases == world.aliases


def test_another_seed_makes_another_world(world: World) -> None:
    assert World(seed=1).facts != world.facts


def test_it_holds_thousands_of_facts_and_none_twice(world: World) -> None:
    assert len(world.facts) > 2000
    assert len({(fact.subject, fact.relation) for fact in world.facts}) == len(world.facts)


def test_no_two_names_or_aliases_are_alike(world: World) -> None:
    names = [name for members in world.entities.values() for name in members] + list(world.aliases.values())
    assert len(set(names)) == len(names)


def test_subjects_and_answers_are_of_their_relations_kinds(world: World) -> None:
    for fact in world.facts:
        kinds = RELATIONS[fact.relation]
        assert (world.kinds[fact.subject], world.kinds[fact.target]) == (kinds.subject, kinds.target)


def test_an_inverse_fact_leads_back_to_its_subject(world: World) -> None:
    for fact in world.facts:
        inverse = RELATIONS[fact.relation].inverse
        if inverse is not None:
            assert world.target(fact.target, inverse) == fact.subject


def test_a_capital_lies_in_its_country(world: World) -> None:
    for fact in world.facts_by_relation["capital"]:
        assert world.target(fact.target, "country") == fact.subject


def test_every_chain_joins_two_relations_that_fit(world: World) -> None:
    for first, second in CHAINS:
        assert RELATIONS[first].target == RELATIONS[second].subject


def test_alternatives_are_free_and_untrue(world: World) -> None:
    for fact in (fact for fact in world.facts if not RELATIONS[fact.relation].derived):
        options = world.alternatives(fact.subject, fact.relation)
        assert options
        assert not {fact.target, fact.subject} & set(options)
        inverse = RELATIONS[fact.relation].inverse
        if inverse is not None:
            assert all(world.target(option, inverse) is None for option in options)


def test_consequences_follow_from_the_edit_in_either_hop(world: World) -> None:
    person = world.entities["person"][0]
    city = world.alternatives(person, "birthplace")[0]
    follows = world.consequences(Fact(person, "birthplace", city))
    assert (person, ("birthplace", "country"), world.target(city, "country")) in follows

    language = world.alternatives(world.entities["country"][0], "language")[0]
    follows = world.consequences(Fact(world.entities["country"][0], "language", language))
    residents = world.subjects("country", world.entities["country"][0])
    assert residents
    assert follows == tuple((name, ("country", "language"), language) for name in residents)
