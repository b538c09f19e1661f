"""What a model answers, under teacher forcing and freely."""

from __future__ import annotations

import sys
from copy import copy
from itertools import chain

import pytest
import torch
from odd_tokenizers import byte_level

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.evaluation import observe, questions
from easyedit_ice.evaluation.observation import Observation
from easyedit_ice.evaluation.questions import Question
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text.sampling import write
from easyedit_ice.text.tokens import tokens

FACTS_ASKED = [questions(EditRequest.from_dict(fact)) for fact in FACTS]
QUESTIONS = list(chain(*FACTS_ASKED))
FP32 = pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])


def _greedy(model, text: str, length: int) -> str:
    tok = tokenizer()
    ids = tok.encode(text)
    start = len(ids)
    for _step in range(length):
        with torch.no_grad():
            ids.append(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item())
        if ids[-1] == tok.eos_token_id:
            break
    return tok.decode(ids[start:], skip_special_tokens=True).strip()


@FP32
def test_token_accuracy_is_the_share_of_expected_tokens_that_are_the_likeliest(shape):
    model, tok = shape.build(), tokenizer()
    alone = [(question,) for question in QUESTIONS]
    for question, (seen,) in zip(QUESTIONS, observe(model, tok, alone), strict=True):
        prompt, whole = tok.encode(question.prompt), tok.encode(f"{question.prompt} {question.answer}")
        with torch.no_grad():
            likeliest = model(input_ids=torch.tensor([whole])).logits[0].argmax(-1).tolist()
        expected = whole[len(prompt) :]
        predicted = likeliest[len(prompt) - 1 : -1]
        assert seen.expected == tuple(expected)
        assert seen.predicted == tuple(predicted)
        assert seen.token_accuracy == sum(map(int.__eq__, expected, predicted)) / len(expected)


@FP32
def test_what_is_generated_is_the_greedy_continuation_of_the_prompt_alone(shape):
    model = shape.build()
    seen = chain(*observe(model, tokenizer(), FACTS_ASKED, max_new_tokens=5))
    for question, found in zip(QUESTIONS, seen, strict=True):
        assert found.generated == _greedy(model, question.prompt, 5)


def test_a_text_has_stopped_where_the_model_ended_it_and_not_where_it_was_cut_off(monkeypatch):
    model, tok = SHAPES[0].build(), tokenizer()
    ids = tok.encode("Lodel. The river Ell")
    end = tok.eos_token_id
    written = {"cut": ids, "ended": [*ids[:-1], end], "short": [*ids[:2], end]}
    questions = [Question("rewrite", prompt, "Lodel", ("Lodel",)) for prompt in written]
    by_prompt = {tuple(tok.encode(prompt)): tuple(tokens) for prompt, tokens in written.items()}
    module = sys.modules[observe.__module__]
    monkeypatch.setattr(module, "write", lambda model, tok, prefixes, length: [by_prompt[tuple(p)] for p in prefixes])
    (found,) = observe(model, tok, [questions], max_new_tokens=len(ids))
    assert [seen.stopped for seen in found] == [False, True, True]
    assert [seen.leading for seen in found] == ["Lodel"] * 3


@FP32
def test_an_answer_and_the_one_it_competes_with_are_scored_by_their_mean_log_probabilities(shape):
    model, tok = shape.build(), tokenizer()
    question = Question("rewrite", "The capital of Avaria is", "Lodel", ("Lodel",), "Ommer Town")
    ((seen,),) = observe(model, tok, [[question]], probability=True)
    for answer, found in (("Lodel", seen.log_prob), ("Ommer Town", seen.other_log_prob)):
        prompt, whole = tok.encode(question.prompt), tok.encode(f"{question.prompt} {answer}")
        with torch.no_grad():
            log_probs = model(input_ids=torch.tensor([whole])).logits[0].log_softmax(-1)
        expected = [log_probs[place - 1, whole[place]].item() for place in range(len(prompt), len(whole))]
        assert found == pytest.approx(sum(expected) / len(expected), abs=1e-4)


def test_a_question_without_another_answer_is_not_scored_by_probability():
    alone = Question("rewrite", "The capital of Avaria is", "Lodel", ("Lodel",))
    ((seen,),) = observe(SHAPES[0].build(), tokenizer(), [[alone]], probability=True)
    assert seen.log_prob is None
    assert seen.other_log_prob is None


def test_questions_are_asked_in_the_facts_context():
    model, tok = SHAPES[0].build(), tokenizer()
    in_context = [Question(q.measure, f"Ommer. {q.prompt}", q.answer, q.aliases, q.other) for q in FACTS_ASKED[0]]
    expected = observe(model, tok, [in_context, FACTS_ASKED[1]], probability=True)
    contexts = [lambda prompt: f"Ommer. {prompt}", None]
    assert observe(model, tok, FACTS_ASKED[:2], contexts=contexts, probability=True) == expected


def test_nothing_is_written_where_nothing_shall_be():
    found = observe(SHAPES[0].build(), tokenizer(), FACTS_ASKED, max_new_tokens=0)
    assert {seen.generated for seen in chain(*found)} == {None}


def test_observations_come_in_the_order_of_the_questions_whatever_the_batches(monkeypatch):
    model = SHAPES[0].build()
    together = observe(model, tokenizer(), FACTS_ASKED)
    monkeypatch.setattr(sys.modules[observe.__module__], "BATCH", 1)
    assert observe(model, tokenizer(), FACTS_ASKED) == together
    assert observe(model, tokenizer(), FACTS_ASKED[::-1]) == together[::-1]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_model_is_asked_in_evaluation_mode_and_left_as_it_was(training, side):
    model, tok = SHAPES[0].build(), copy(tokenizer())
    expected = observe(model, tokenizer(), FACTS_ASKED)
    model.train(training)
    tok.padding_side = side
    state = torch.get_rng_state()
    assert observe(model, tok, FACTS_ASKED) == expected
    assert all(module.training is training for module in model.modules())
    assert tok.padding_side == side
    assert torch.equal(torch.get_rng_state(), state)


def test_observations_agree_by_the_share_of_equal_places():
    one = Observation((1, 2, 3, 4), (5, 6, 7, 8), "x")
    other = Observation((1, 2, 3, 4), (5, 6, 7, 9), "y")
    assert one.agrees_with(other) == other.agrees_with(one) == 0.75
    assert one.agrees_with(one) == 1.0


def test_an_answer_of_no_tokens_has_no_accuracy():
    assert Observation((), (), "x").token_accuracy is None


@pytest.mark.parametrize("padded", [True, False])
def test_a_tokenizer_that_appends_an_end_of_text_or_has_no_padding_changes_no_answer(padded):
    model = SHAPES[0].build()
    plain = observe(model, byte_level(pad_token="</s>"), FACTS_ASKED, probability=True)
    other = byte_level(after="</s>", **{"pad_token": "</s>"} if padded else {})
    assert observe(model, other, FACTS_ASKED, probability=True) == plain


def test_the_line_break_that_ends_a_prompt_is_asked_and_a_space_is_not():
    model, length = SHAPES[0].build(), 5
    for end, asked in (("\n", "\n"), (" ", ""), (" \n", " \n")):
        question = Question("rewrite", f"The capital of Avaria is{end}", "Lodel", ("Lodel",))
        ((seen,),) = observe(model, tokenizer(), [[question]], max_new_tokens=length)
        assert seen.generated == _greedy(model, f"The capital of Avaria is{asked}", length)


def test_an_answer_ends_at_any_end_that_the_model_lists_and_does_not_show_it():
    model, tok = SHAPES[0].build(), tokenizer()
    question = FACTS_ASKED[0][0]
    (written,) = write(model, tok, [tokens(tok, question.prompt)], length=4)
    model.generation_config.eos_token_id = [tok.eos_token_id, written[2]]
    ((seen,),) = observe(model, tok, [[question]])
    assert seen.generated == tok.decode(written[: written.index(written[2])]).strip()
    assert seen.stopped
