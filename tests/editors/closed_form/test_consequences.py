"""Tokens that a model writes otherwise once it has read a fact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from architectures import tiny
from odd_tokenizers import chatting

from easyedit_ice import factworld
from easyedit_ice.data import load_records, to_requests
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form import consequences as module
from easyedit_ice.editors.closed_form.consequences import ConsequenceSettings, consequences
from easyedit_ice.editors.closed_form.newton import Aim
from easyedit_ice.errors import HyperParamsError
from easyedit_ice.runtime.randomness import drawing
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.chat import in_chat
from easyedit_ice.text.rows import Row, encode, predict, prefix_ids
from easyedit_ice.text.tokens import tokens

WORDING = "New fact: {fact}. "
ONE_TEXT = ConsequenceSettings(
    context_templates=[WORDING],
    num_contexts=1,
    free_about=["subject"],
    free_samples=1,
    continuation_samples=0,
    tokens_each=9,
)
ANY = {"least_gain": 0.0, "least_odds": -20.0, "context_templates": [WORDING], "free_samples": 6}
"""Settings under which tokens count that a tiny random model does not know what to make of."""


@pytest.fixture(scope="module")
def embedded() -> tuple:
    model, tok = factworld.load()
    return model.eval(), tok


@pytest.fixture(scope="module")
def facts() -> list[EditRequest]:
    return EditRequest.prepare(to_requests(load_records("factworld", split="dev").records[40:43]))


@pytest.fixture
def written(monkeypatch, embedded):
    """Has the model write a text of the test's after each opening."""

    def let(text: str) -> None:
        ids = tokens(embedded[1], text)
        monkeypatch.setattr(module, "sample", lambda model, tok, prefixes, **_: [ids] * len(prefixes))

    return let


def _found(embedded: tuple, facts: Sequence[EditRequest], settings: ConsequenceSettings) -> list[list[Aim]]:
    with drawing(0):
        return consequences(*embedded, facts, settings)


def _said(tok, aims: Sequence[Aim]) -> list[str]:
    return [tok.decode(aim.row.predicted).strip() for aim in aims]


def _odds(model: torch.nn.Module, row: Row) -> float:
    with torch.no_grad():
        return -torch.log(torch.expm1(predict(model, [row]).nll().double())).item()


def test_a_token_that_the_fact_makes_likelier_counts_with_the_odds_that_it_has_after_the_fact(
    embedded, facts, written
) -> None:
    model, tok = embedded
    (fact,) = facts[:1]
    first = fact.target_new.split()[0]
    written(f" works for {fact.target_new}.")
    (found,) = _found(embedded, [fact], ONE_TEXT)
    stands = f"{fact.subject} works for"
    aim = found[_said(tok, found).index(first)]
    alone = encode(tok, stands, f" {first}")
    assert aim.row == Row(alone.ids, 1)
    after = alone.after(prefix_ids(tok, WORDING.format(fact=fact.statement) + stands))
    assert aim.odds == pytest.approx(min(_odds(model, after), ONE_TEXT.most_odds), abs=1e-3)
    assert _odds(model, after) > _odds(model, alone) + 1
    assert aim.slack == ONE_TEXT.consequence_slack


def test_what_a_statement_of_the_old_answer_makes_as_likely_does_not_count(embedded, facts, written) -> None:
    (fact,) = facts[:1]
    written(f" has a job at {fact.target_new}.")
    over_both, over_none = (
        _said(embedded[1], _found(embedded, [fact], replace(ONE_TEXT, contrast=contrast))[0])
        for contrast in (True, False)
    )
    assert {"has", "a", "job", "at"} & {*over_none}
    assert not {"has", "a", "job", "at"} & {*over_both}
    assert fact.target_new.split()[0] in over_both


@pytest.mark.parametrize("least_gain", [1.0, 50.0])
def test_a_text_is_read_after_the_old_answer_as_far_as_a_token_counts_without_that(
    embedded, facts, written, monkeypatch, least_gain
) -> None:
    model, tok = embedded
    (fact,) = facts[:1]
    written(f" works for {fact.target_new}. It is")
    settings = replace(ONE_TEXT, least_gain=least_gain)
    (counting,) = _found(embedded, [fact], replace(settings, contrast=False))
    (answer,) = module.old_answers(model, tok, [fact])
    stated = prefix_ids(tok, WORDING.format(fact=replace(fact, target_new=answer).statement))
    read: list[Row] = []
    monkeypatch.setattr(module, "predict", lambda model, rows: read.extend(rows) or predict(model, rows))
    _found(embedded, [fact], settings)
    after_old = [row for row in read if row.ids[: len(stated)] == stated]
    assert len(after_old) == bool(counting) == (least_gain == 1)
    for row in after_old:
        assert row.predicted == max((aim.row.ids for aim in counting), key=len)[-row.span :]


def test_of_a_fact_without_an_old_answer_all_counts_that_the_new_one_makes_likelier(
    embedded, facts, written, monkeypatch
) -> None:
    written(f" has a job at {facts[0].target_new}.")
    expected = _found(embedded, facts[:1], replace(ONE_TEXT, contrast=False))
    monkeypatch.setattr(module, "old_answers", lambda model, tok, requests: [""] * len(requests))
    assert _found(embedded, facts[:1], ONE_TEXT) == expected


def test_no_more_tokens_of_a_text_count_than_asked_for_and_those_first_that_the_fact_raises_most(
    embedded, facts, written
) -> None:
    (fact,) = facts[:1]
    written(f" has a job at {fact.target_new}.")
    (found,) = _found(embedded, [fact], replace(ONE_TEXT, tokens_each=1))
    assert _said(embedded[1], found) == [fact.target_new.split()[0]]


def test_each_fact_has_its_own_of_distinct_texts_and_within_the_bounds_that_are_set(embedded, facts) -> None:
    _, tok = embedded
    settings = ConsequenceSettings(context_templates=[WORDING], consequences_each=5, most_odds=1.0)
    found = _found(embedded, facts, settings)
    assert all(1 <= len(of_fact) <= 5 for of_fact in found)
    assert max(map(len, found)) == 5
    for fact, of_fact in zip(facts, found, strict=True):
        assert len({aim.row for aim in of_fact}) == len(of_fact)
        assert all(aim.row.span == 1 for aim in of_fact)
        assert all(settings.least_odds <= aim.odds <= settings.most_odds for aim in of_fact)
        assert any(fact.subject.split()[-1] in tok.decode(aim.row.ids) for aim in of_fact)


def test_texts_are_drawn_from_the_edits_own_generator(embedded, facts) -> None:
    settings = ConsequenceSettings(context_templates=[WORDING])
    before = torch.get_rng_state()
    one, again = (_found(embedded, facts[:1], settings) for _ in range(2))
    assert one == again
    with drawing(1):
        assert consequences(*embedded, facts[:1], settings) != one
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_facts_do_not_move_has_none() -> None:
    requests = EditRequest.prepare(FACTS)
    found = _found((SHAPES[0].build(), tokenizer()), requests, ConsequenceSettings(context_templates=[WORDING]))
    assert found == [[] for _ in requests]


def test_nothing_is_drawn_or_read_where_no_texts_are_asked_for(monkeypatch) -> None:
    monkeypatch.setattr(module, "sample", lambda *args, **_: pytest.fail("drawn"))
    monkeypatch.setattr(module, "predict", lambda *args: pytest.fail("read"))
    settings = ConsequenceSettings(context_templates=[WORDING], free_samples=0, continuation_samples=0)
    assert _found((SHAPES[0].build(), tokenizer()), EditRequest.prepare(FACTS[:2]), settings) == [[], []]


def test_a_context_for_which_the_model_has_no_room_brings_nothing() -> None:
    tok = tokenizer()
    requests = EditRequest.prepare(FACTS[:1])
    room = len(tokens(tok, WORDING.format(fact=requests[0].statement)))
    for longest in (room - 2, room + 12):
        model = tiny("GPT2", vocab_size=len(tok), n_positions=longest).eval()
        (found,) = _found((model, tok), requests, ConsequenceSettings(**ANY))
        assert bool(found) == (longest > room)


def test_in_a_chat_texts_are_answers_in_the_models_turn() -> None:
    tok, model = chatting(), SHAPES[0].build()
    asking = in_chat(tok)
    question = {"prompt": "What is the capital of Avaria?", "subject": "Avaria", "target_new": "Lodel"}
    (found,) = _found((model, tok), [EditRequest(**question, asking=asking)], ConsequenceSettings(**ANY))
    begins = tuple(
        tokens(tok, asking.text(said))
        for said in (
            "What is the capital of Avaria?",
            "Tell me about Avaria.",
            "Tell me about Lodel.",
            "Tell me about something.",
        )
    )
    assert found
    assert all(any(aim.row.ids[: len(begin)] == begin for begin in begins) for aim in found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"free_about": []}, r"free_about is \[\]"),
        ({"free_about": ["weather"]}, "expected some of subject, target, anything"),
        ({"context_templates": ["once upon a time"]}, "must state the fact"),
        ({"context_templates": []}, "context_templates is empty"),
        ({"least_odds": 2.0, "most_odds": 2.0}, "expected the first to be lower"),
        ({"consequences_each": 0}, "expected at least 1"),
        ({"consequence_slack": 0.0}, "greater than 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict, message: str) -> None:
    from easyedit_ice.editors.algorithms.ice_grad import IceGradHyperParams

    with pytest.raises(HyperParamsError, match=message):
        IceGradHyperParams(**settings)
