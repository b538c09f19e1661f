"""What hidden layers are taught is true of the documents."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerBase

from easyedit_ice.factworld.documents import INVENTED, Document, Span, text_of
from easyedit_ice.factworld.training.batches import Batch, Batches, Encoded
from easyedit_ice.factworld.training.world_lessons import lesson_loss
from easyedit_ice.factworld.training.world_tokenizer import train_tokenizer
from easyedit_ice.factworld.world_facts import default_world
from easyedit_ice.factworld.world_text import Writer


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    writer = Writer(default_world(), random.Random(0))
    texts = [text_of(writer.new_fact_document()) for _ in range(500)]
    tokenizer = train_tokenizer(texts, 900, tmp_path_factory.mktemp("gpt2-tokenizer"))
    return Batches(default_world(), tokenizer, tokens=2048, seed=0)


@pytest.fixture(scope="module")
def tokenizer(batches: Batches) -> PreTrainedTokenizerBase:
    return batches._tokenizer


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(vocab_size=900, n_positions=128, n_embd=16, n_layer=4, n_head=2, **ends)).eval()


def _stated(subject: str, target: str) -> Document:
    return (Span(subject, role="subject"), Span(" lives in"), Span(f" {target}", INVENTED, role="answer"))


def _read(encoded: Encoded, tokenizer: PreTrainedTokenizerBase, places: list[tuple[int, int]]) -> set[tuple[str, str]]:
    """For each pair of places the next token after the first, and the token at the second."""
    tokens = encoded.tokens
    return {(tokenizer.decode(tokens[at + 1]), tokenizer.decode(tokens[place])) for at, place in places}


def test_an_answer_is_looked_up_where_the_context_states_it(batches: Batches) -> None:
    writer = Writer(default_world(), random.Random(1))
    found = 0
    for _ in range(200):
        document = writer.new_fact_document()
        targets = {span.text for span in document if span.role == "answer" and span.weight == INVENTED}
        encoded = batches.encode(document)
        for at, place in encoded.to_answer:
            assert place <= at
            found += encoded.tokens[place] == encoded.tokens[at + 1]
        assert targets
    assert found > 200


def test_each_of_several_new_facts_is_looked_up_in_its_own_statement(
    batches: Batches, tokenizer: PreTrainedTokenizerBase
) -> None:
    asked = (Span("Bob", role="subject"), Span(" dwells in"), Span(" Rome", role="answer"))
    stop = Span(". ", INVENTED)
    encoded = batches.encode((*_stated("Ann", "Oslo"), stop, *_stated("Bob", "Rome"), stop, *asked))
    text = [tokenizer.decode(token) for token in encoded.tokens]
    answer = len(batches.encode((*_stated("Ann", "Oslo"), stop, *_stated("Bob", "Rome"), stop, *asked[:2])).tokens)
    statement = len(batches.encode((*_stated("Ann", "Oslo"), stop, *_stated("Bob", "Rome")[:2])).tokens)
    size = len(text) - answer
    assert encoded.to_answer == [(answer - 1 + index, statement + index) for index in range(size)]
    subject = dict(encoded.to_subject)[answer - 1]
    assert "Bob".endswith(text[subject].strip())
    assert subject > statement


def test_an_inverse_question_is_looked_up_behind_the_answer_it_asks_about(
    batches: Batches, tokenizer: PreTrainedTokenizerBase
) -> None:
    inverse = (Span("Oslo", role="subject"), Span(" is home to"), Span(" Ann", role="answer"))
    encoded = batches.encode((*_stated("Ann", "Oslo"), Span(". ", INVENTED), *inverse))
    end = len(batches.encode(_stated("Ann", "Oslo")).tokens) - 1
    assert {place for _, place in encoded.to_answer} == {end}


def test_lessons_stay_within_their_rows_and_documents(batches: Batches) -> None:
    for step in range(6):  # the last of them has long rows
        batch = batches[step]
        for looks in (batch.to_subject, batch.to_answer):
            row, column, place = looks.unbind(1)
            assert len(looks)
            assert (batch.mask[row, 0, column, place] == 0).all()
        row, column, token, size = batch.meanings.unbind(1)
        assert column.max() < batch.tokens.shape[1]
        assert (size > 0).all()
        assert token.max() < 900


def test_the_loss_is_least_for_heads_that_look_where_they_should(batches: Batches, model: GPT2LMHeadModel) -> None:
    batch = batches[0]
    states = torch.randn(*batch.tokens.shape, 16)

    def loss(*looked_at: torch.Tensor) -> float:
        attentions = [_looking_at(batch, places) for places in looked_at]
        output = SimpleNamespace(attentions=[*attentions, None], hidden_states=[None, None, states, None, None])
        return lesson_loss(model, output, batch).item()

    right = (batch.to_subject, batch.to_answer, batch.to_meaning)
    for index in range(3):
        wrong = [*right]
        wrong[index] = right[index - 1]
        assert loss(*right) < loss(*wrong)


def test_the_loss_is_less_where_the_middle_names_what_subjects_stand_for(
    batches: Batches, model: GPT2LMHeadModel
) -> None:
    batch = batches[0]
    attentions = [_looking_at(batch, places) for places in (batch.to_subject, batch.to_answer, batch.to_meaning)]
    named = torch.zeros(*batch.tokens.shape, 16)
    row, column, token, _ = batch.meanings.unbind(1)
    named[row, column] = model.lm_head.weight[token].detach()

    def loss(states: torch.Tensor) -> float:
        output = SimpleNamespace(attentions=[*attentions, None], hidden_states=[None, None, states, None, None])
        return lesson_loss(model, output, batch).item()

    assert loss(named) < loss(torch.zeros_like(named))


def _looking_at(batch: Batch, places: torch.Tensor) -> torch.Tensor:
    rows, length = batch.tokens.shape
    attention = torch.full((rows, 2, length, length), 1e-3)
    row, column, place = places.unbind(1)
    attention[row, 0, column, place] = 1.0
    return attention
