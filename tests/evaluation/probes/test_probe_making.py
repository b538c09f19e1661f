"""Probes made from records: what is asked, and what counts as right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from easyedit_ice import factworld
from easyedit_ice.data import read_records
from easyedit_ice.errors import RunConfigError
from easyedit_ice.evaluation.probes import PROBES, Claim, Claims, chosen
from easyedit_ice.evaluation.probes.choice import LETTERS

CLAIM = Claim(
    prompt="The river through Rome is the",
    answer="Elbe",
    rival="Tiber",
    others=("Rhine", "Seine", "Oder"),
    subject="Rome",
    other_subjects=("Paris", "Basel"),
    statements=(
        "Paris lies on the Seine",
        "Basel is a city",
        *(f"Sentence {n} says nothing at all" for n in range(40)),
    ),
)
CAPITALS = [
    {"prompt": f"The capital of {land} is", "subject": land, "target_new": new, "ground_truth": old}
    for land, new, old in [
        ("France", "Lyon", "Paris"),
        ("Spain", "Vigo", "Madrid"),
        ("Italy", "Turin", "Rome"),
        ("Norway", "Bergen", "Oslo"),
    ]
] + [{"prompt": "Nero plays the", "subject": "Nero", "target_new": "violin", "ground_truth": "lyre"}]


def items(name: str, claim: Claim = CLAIM) -> Any:
    return PROBES[name].make(claim)


def test_a_choice_is_among_the_new_the_old_and_two_other_answers() -> None:
    (item,) = items("choice")
    assert sorted(item.options) == ["Elbe", "Rhine", "Seine", "Tiber"]
    assert item.options[item.right] == "Elbe"


def test_listed_options_carry_the_letters_of_their_places() -> None:
    (item,) = items("letters")
    assert item.options == tuple(LETTERS)
    assert f"\n{LETTERS[item.right]}. Elbe\n" in f"{item.prompt}\n"


def test_the_seed_alone_decides_the_order_of_options() -> None:
    orders = {items("letters", replace(CLAIM, seed=str(seed)))[0].right for seed in range(30)}
    assert orders == {0, 1, 2, 3}
    assert items("letters") == items("letters")


def test_of_a_negated_fact_the_old_answer_is_right() -> None:
    (item,) = items("negation")
    assert item.options[item.right] == "Tiber"
    assert "Elbe" in item.options


@pytest.mark.parametrize(("log_probs", "right", "leans"), [
    (((-1.0, -2.0), (-2.0, -1.0)), True, True),
    (((-1.0, -2.0), (-1.5, -2.0)), False, True),
    (((-1.5, -2.0), (-1.0, -2.0)), False, False),
    (((-2.0, -1.0), (-2.0, -1.0)), False, False),
])  # fmt: skip
def test_a_model_that_always_says_yes_is_not_right(log_probs: Any, right: bool, leans: bool) -> None:
    asked = items("yes_no")
    assert [item.options[item.right] for item in asked] == ["Yes", "No"]
    assert "Elbe" in asked[0].prompt and "Tiber" in asked[1].prompt
    assert PROBES["yes_no"].judge(asked, log_probs) is right
    assert PROBES["leaning"].judge(asked, log_probs) is leans


def test_a_tie_is_not_a_right_answer() -> None:
    assert not PROBES["choice"].judge(items("choice"), ((-1.0, -1.0, -1.0, -1.0),))


def test_the_way_back_asks_for_the_subject() -> None:
    (item,) = items("reversed")
    assert item.options[item.right] == "Rome"
    assert item.prompt == "Fill in the blank: The river through ___ is the Elbe.\nAnswer:"
    (ruled,) = items("reversed", replace(CLAIM, back={"Elbe": "The Elbe flows through"}))
    assert ruled.prompt == "The Elbe flows through"


def test_contexts_stand_before_the_same_choice() -> None:
    for name, before in (
        ("irrelevant", "Paris lies on the Seine. Basel is a city. "),
        ("contradicting", "Some people say: The river through Rome is the Tiber. "),
    ):
        (item,) = items(name)
        assert item == replace(items("choice")[0], prompt=before + CLAIM.prompt)


def test_long_text_is_as_long_as_it_says() -> None:
    (item,) = items("long")
    assert 150 <= len(item.prompt.split()) < 175


def test_without_an_old_answer_another_one_takes_its_place() -> None:
    new = replace(CLAIM, rival=None)
    assert sorted(items("choice", new)[0].options) == ["Elbe", "Oder", "Rhine", "Seine"]
    assert new.of_old_facts() is None
    assert items("negation", new)[0].options[1] == "Rhine"


def test_a_fact_with_nothing_beside_it_has_no_probes() -> None:
    alone = Claim("Rome is", "old", None, ())
    assert [name for name in PROBES if items(name, alone)] == []


def test_old_facts_are_asked_with_new_and_old_exchanged() -> None:
    old = CLAIM.of_old_facts()
    assert items("choice", old)[0].options[items("choice", old)[0].right] == "Tiber"
    assert items("negation", old)[0].options[1] == "Elbe"


def test_other_answers_are_of_the_same_relation_where_there_are_enough() -> None:
    records = read_records(CAPITALS)
    for seed in range(5):
        claim = Claims(records, records, seed).of(records[0])
        assert (claim.answer, claim.rival) == ("Lyon", "Paris")
        assert set(claim.others) <= {"Vigo", "Madrid", "Turin", "Rome", "Bergen", "Oslo"}
        assert set(claim.other_subjects) <= {"Spain", "Italy", "Norway"}


def test_where_a_relation_has_too_few_answers_others_fill_the_place() -> None:
    records = read_records(CAPITALS)
    claim = Claims(records, records, 0).of(records[4])
    assert len(claim.others) == 3


def test_no_other_answer_could_be_taken_for_an_answer_of_the_fact() -> None:
    alike = {
        "prompt": "The capital of Peru is",
        "subject": "Peru",
        "target_new": "Greater Lyon",
        "ground_truth": "lyon",
    }
    records = read_records([*CAPITALS, alike])
    for seed in range(20):
        claim = Claims(records, records, seed).of(records[0])
        assert not any("lyon" in other.casefold() for other in claim.others)


def test_sentences_around_a_fact_do_not_speak_of_it() -> None:
    records = read_records(factworld.records("test")[:200])
    claims = Claims(records, records[:40].records, 0, inverses=True)
    edited = {record["prompt"] for record in records[:40]}
    for record in records[:40]:
        claim = claims.of(record)
        text = " ".join(claim.statements)
        assert claim.statements
        assert not any(name in text for name in (claim.subject, claim.answer, claim.rival))
        assert not any(prompt in text for prompt in edited)


def test_the_embedded_worlds_inverse_relations_lead_back_by_its_own_wording() -> None:
    records = read_records(factworld.records("test"))
    mayor = next(record for record in records if record["relation"] == "mayor")
    claim = Claims(records, [mayor], 0, inverses=True).of(mayor)
    assert mayor["target_new"] in claim.back[mayor["target_new"]]
    assert mayor["ground_truth"][0] in claim.back[mayor["ground_truth"][0]]
    river = next(record for record in records if record["relation"] == "river")
    assert Claims(records, [river], 0, inverses=True).of(river).back == {}


def test_an_unknown_probe_is_refused_by_name() -> None:
    with pytest.raises(RunConfigError, match=r"'choise'.*Did you mean 'choice'"):
        chosen(["choise"])
    assert [probe.name for probe in chosen(["all"])] == list(PROBES)
