"""How far a model moves on text that no edit is about."""

import math

import pytest
import torch

from easyedit_ice.evaluation import Drift
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

TEXTS = ["The capital of Avaria is Lodel.", "The river that flows through Avaria is the Ell and it is long.", "Lodel"]
ASKED = [("The capital of Avaria is", "Lodel"), ("Ommer lies on the river", "Ell")]
BOTH = pytest.mark.parametrize("shape", SHAPES[::2], ids=[shape.name for shape in SHAPES[::2]])


def _log_probs(model, text):
    ids = tokenizer().encode(text)
    with torch.no_grad():
        return ids, model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)


@BOTH
def test_perplexity_is_that_of_all_tokens_but_each_texts_first(shape):
    model = shape.build()
    losses = []
    for text in TEXTS:
        ids, log_probs = _log_probs(model, text)
        losses += [-log_probs[place - 1, ids[place]].item() for place in range(1, len(ids))]

    point = Drift(model, tokenizer(), TEXTS, ASKED, 512).point(model)

    assert point.perplexity == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)
    assert point.kl == 0.0


@BOTH
def test_kl_is_that_of_base_to_edited_model_at_the_answers_tokens(shape):
    model = shape.build()
    drift = Drift(model, tokenizer(), TEXTS, ASKED, 512)
    before = [_log_probs(model, f"{prompt} {answer}") for prompt, answer in ASKED]
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1.3)
    expected = []
    for (prompt, answer), (ids, was) in zip(ASKED, before, strict=True):
        _, now = _log_probs(model, f"{prompt} {answer}")
        start = len(tokenizer().encode(prompt))
        expected += [(was[p].exp() * (was[p] - now[p])).sum().item() for p in range(start - 1, len(ids) - 1)]

    assert drift.point(model).kl == pytest.approx(sum(expected) / len(expected), rel=1e-3)
    assert drift.point(model).kl > 0


def test_long_texts_are_cut_off_and_the_model_is_left_in_its_mode():
    model = SHAPES[0].build().train()
    short = Drift(model, tokenizer(), [" ".join(TEXTS)], ASKED, 5).point(model)
    ids = tokenizer().encode(" ".join(TEXTS))[:5]
    again = Drift(model, tokenizer(), [tokenizer().decode(ids)], ASKED, 512).point(model)

    assert short.perplexity == pytest.approx(again.perplexity)
    assert model.training


def test_without_texts_there_is_no_perplexity():
    model = SHAPES[0].build()
    assert math.isnan(Drift(model, tokenizer(), [], ASKED, 512).point(model).perplexity)
