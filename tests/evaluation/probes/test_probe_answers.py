"""Models asked probes: the likeliest option is the answer, whatever stands around the question."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from easyedit_ice import factworld
from easyedit_ice.data import read_records
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.evaluation.likelihood import alternatives
from easyedit_ice.evaluation.probes import PROBES, Claims, Prober, chosen, shares, told
from easyedit_ice.evaluation.probes.dialogue import OPENING, conversation
from easyedit_ice.text.chat import asking_for

TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}</{{ message.role }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def embedded() -> tuple[Any, Any]:
    return factworld.load()


@pytest.fixture(scope="module")
def claims() -> list[Any]:
    records = read_records(factworld.records("test"))
    edited = records[:4].records
    made = Claims(records, edited, 0, inverses=True)
    return [made.of(record) for record in edited]


def test_a_model_that_knows_a_fact_chooses_it_in_any_surroundings(embedded: Any, claims: Any) -> None:
    model, tok = embedded
    prober = Prober(chosen(["choice", "irrelevant"]), tok)
    for new, old in zip(
        prober.ask(model, claims), prober.ask(model, [claim.of_old_facts() for claim in claims]), strict=True
    ):
        assert shares(old) == {"choice": 1, "irrelevant": 1}
        assert shares(new) == {"choice": 0, "irrelevant": 0}


def test_a_model_that_is_told_a_fact_chooses_it(embedded: Any, claims: Any) -> None:
    model, tok = embedded
    answers = Prober(chosen(["choice"]), tok).ask(model, claims, [told(claim) for claim in claims])
    assert [shares(own) for own in answers] == [{"choice": 1}] * len(claims)


def test_log_probabilities_are_those_of_the_whole_text(embedded: Any, claims: Any) -> None:
    model, tok = embedded
    ((answered,),) = Prober(chosen(["negation"]), tok).ask(model, claims[:1], [lambda text: f"Well. {text}"])
    (item,) = answered.items
    expected = alternatives(model, tok, [(f"Well. {item.prompt}", item.options)])
    assert answered.log_probs == tuple(expected)


def test_facts_without_a_claim_are_not_probed(embedded: Any, claims: Any) -> None:
    model, tok = embedded
    assert Prober(chosen(["choice"]), tok).ask(model, [None, claims[0]])[0] == ()
    assert Prober(chosen(["choice"]), tok).ask(model, []) == []


def test_a_text_that_the_model_has_no_room_for_is_left_out(embedded: Any, claims: Any) -> None:
    model, tok = embedded
    filled = replace(claims[0], statements=("word " * 600,))
    (answers,) = Prober(chosen(["choice", "long"]), tok).ask(model, [filled])
    assert shares(answers).keys() == {"choice"}


def test_a_conversation_stands_in_the_chat_template_where_there_is_one(embedded: Any) -> None:
    _, tok = embedded
    plain = conversation(tok).text("Who?")
    assert plain == f"User: {OPENING[0]}\nAssistant: {OPENING[1]}\nUser: Who?\nAssistant:"
    tok.chat_template = TEMPLATE
    try:
        said = f"<user>{OPENING[0]}</user><assistant>{OPENING[1]}</assistant><user>Who?</user><assistant>"
        assert conversation(tok).text("Who?") == said
        assert conversation(tok).gap_after(said) == ""
        assert asking_for(tok, True).text("Who?") == "<user>Who?</user><assistant>"
    finally:
        tok.chat_template = None


def test_a_template_that_holds_no_conversation_matters_to_dialogues_alone(embedded: Any) -> None:
    _, tok = embedded
    tok.chat_template = "always the same"
    try:
        Prober(chosen(["choice"]), tok)
        with pytest.raises(HyperParamsError, match="chat template"):
            Prober(chosen(["dialogue"]), tok)
    finally:
        tok.chat_template = None


def test_what_a_method_puts_before_a_question_stands_within_the_conversations_turn(embedded: Any, claims: Any) -> None:
    model, tok = embedded
    prober = Prober(chosen(["dialogue"]), tok)
    ((answered,),) = prober.ask(model, claims[:1], [lambda text: f"Listen. {text}"])
    (item,) = answered.items
    framing = conversation(tok)
    text = framing.text(f"Listen. {item.prompt}")
    assert text.count("User:") == 2 and text.endswith(f"User: Listen. {item.prompt}\nAssistant:")
    assert answered.log_probs == tuple(alternatives(model, tok, [(text, item.options)], framing))


def test_every_probe_can_be_made_of_a_record_of_the_world(embedded: Any, claims: Any) -> None:
    model, tok = embedded
    answers = Prober(chosen(["all"]), tok).ask(model, claims[:1])
    assert [list(shares(own)) for own in answers] == [list(PROBES)]
