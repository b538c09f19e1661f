"""How varied the text is that a model writes."""

from __future__ import annotations

from math import log2

import pytest
import torch

from easyedit_ice.evaluation.fluency import TOKENS, fluency, n_gram_entropy, sampled_texts, word_splitter, words
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer

PROMPTS = [fact["prompt"] for fact in FACTS]


def test_repetition_has_no_entropy_and_distinct_words_have_the_most():
    assert n_gram_entropy(["a"] * 50) == 0.0
    assert n_gram_entropy(list("abcdefghij")) == pytest.approx((2 / 3 * log2(9) + 4 / 3 * log2(8)) / 2)


@pytest.mark.parametrize("few", [[], ["a"], ["a", "b"]])
def test_a_text_too_short_for_repetition_has_no_entropy(few):
    assert n_gram_entropy(few) == 0.0


def test_words_are_split_from_punctuation():
    assert words("It's the river, the Sarn.") == ["It", "'s", "the", "river", ",", "the", "Sarn", "."]
    assert word_splitter() in ("punkt+treebank", "treebank")


def test_a_text_does_not_depend_on_the_prompts_beside_it_and_is_drawn_anew_for_another_seed():
    model, tok = SHAPES[0].build(), tokenizer()
    together = sampled_texts(model, tok, PROMPTS, seed=1)
    assert together == [sampled_texts(model, tok, [prompt], seed=1)[0] for prompt in PROMPTS]
    assert together != sampled_texts(model, tok, PROMPTS, seed=2)


def test_a_prompt_that_is_as_long_as_the_text_is_not_continued():
    prompt = "Avaria " * TOKENS
    assert sampled_texts(SHAPES[0].build(), tokenizer(), [prompt], seed=0) == [prompt]


def test_the_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    assert len(fluency(SHAPES[0].build(), tokenizer(), PROMPTS, seed=0)) == len(PROMPTS)
    assert torch.equal(torch.get_rng_state(), state)
