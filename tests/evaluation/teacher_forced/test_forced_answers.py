"""Teacher-forced answers, read in EasyEdit's rows."""

from __future__ import annotations

import logging
import math
from copy import copy

import pytest
import torch

from easyedit_ice.evaluation.teacher_forced.forced_answers import forced
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

GROUPS = [[(fact["prompt"], fact["target_new"]) for fact in FACTS], [("It is", "so")], [("A river", "Sarn river")]]
FP32 = pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])


def ask(model, groups=GROUPS, *, host="head", max_length=64):
    return forced(model, tokenizer(), groups, max_length=max_length, host=host)


@FP32
def test_answers_are_the_likeliest_tokens_of_the_rows_padded_on_the_left(shape):
    model, tok = shape.build(), tokenizer()
    for group, answers in zip(GROUPS, ask(model), strict=True):
        rows = tok([f"{prompt} {answer}" for prompt, answer in group], padding=True, return_tensors="pt")
        with torch.no_grad():
            likeliest = model(**rows).logits.argmax(-1)
        for row, ids, (prompt, target), answer in zip(likeliest, rows["input_ids"], group, answers, strict=True):
            length = len(tok.encode(f"{prompt} {target}")) - len(tok.encode(prompt))
            assert answer.expected == tuple(ids[-length:].tolist())
            assert answer.predicted == tuple(row[-length - 1 : -1].tolist())


def test_log_prob_is_the_mean_of_the_answers_tokens():
    model, tok = SHAPES[0].build(), tokenizer()
    ids, start = torch.tensor([tok.encode("A river Sarn river")]), len(tok.encode("A river"))
    with torch.no_grad():
        log_probs = model(input_ids=ids).logits[0].log_softmax(-1)
    expected = log_probs[torch.arange(start - 1, ids.shape[1] - 1), ids[0, start:]].mean().item()
    assert ask(model)[2][0].log_prob == pytest.approx(expected, rel=1e-4)


def test_nothing_is_expected_of_an_answer_beyond_max_length():
    answer = ask(SHAPES[0].build(), [[("Avaria " * 60, "Lodel")]], host="release", max_length=40)[0][0]
    assert (answer.expected, answer.predicted) == ((), ())
    assert math.isnan(answer.token_accuracy)


@FP32
@pytest.mark.parametrize("training", [True, False])
def test_the_model_and_the_tokenizer_are_left_as_they_were(shape, training):
    model, tok = shape.build(), copy(tokenizer())
    expected, weights = ask(model), {name: value.clone() for name, value in model.state_dict().items()}
    model.train(training)
    tok.padding_side, state = "right", torch.get_rng_state()
    assert forced(model, tok, GROUPS, max_length=64, host="head") == expected
    assert all(module.training is training for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert tok.padding_side == "right"
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_that_looks_ahead_is_run_group_by_group(caplog):
    """Where rows beside others would get other logits, each group runs as EasyEdit runs it."""
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(vocab_size=len(tokenizer()), hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
    torch.manual_seed(0)
    model, tok = BertLMHeadModel(config).eval(), tokenizer()
    with caplog.at_level(logging.WARNING, logger="easyedit_ice"):
        answers = ask(model)
    assert "run on its own" in caplog.text
    for group, found in zip(GROUPS, answers, strict=True):
        rows = tok([f"{prompt} {answer}" for prompt, answer in group], padding=True, return_tensors="pt")
        with torch.no_grad():
            likeliest = model(**rows).logits.argmax(-1)
        for row, answer in zip(likeliest.tolist(), found, strict=True):
            assert answer.predicted == tuple(row[-len(answer.expected) - 1 : -1])


def test_a_wrapper_that_looks_at_whole_texts_is_asked_each_text_alone_and_whole():
    from easyedit_ice.easyedit.methods.per_row import AskedAlone

    model, asked = SHAPES[0].build(), []

    class Wrapper(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, **inputs):
            asked.append(tuple(input_ids.shape))
            return self.model(input_ids=input_ids, **inputs)

    groups = [[("The capital of Avaria is", "Lodel"), ("The capital of Avaria is", "Lodel Town")]]
    tok = tokenizer()
    found = forced(AskedAlone(Wrapper(), model), tok, groups, max_length=64, host="head")

    rows = [len(tok.encode(f"{prompt} {answer}")) for prompt, answer in groups[0]]
    assert asked == [(1, length) for length in rows]
    assert [row.expected for row in found[0]] == [
        row.expected for row in forced(model, tok, groups, max_length=64, host="head")[0]
    ]
