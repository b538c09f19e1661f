"""The shipped model is what its card says."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, GPT2LMHeadModel, GPT2Tokenizer

from easyedit_ice.factworld import default_world, general_text, load, model_path
from easyedit_ice.factworld.documents import END
from easyedit_ice.factworld.training.recall import measure

CARD = json.loads((model_path() / "figures.json").read_text(encoding="utf-8"))
TOLERANCE = 0.06  # of a sample of some hundred questions


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    return measure(share=0.1)


@pytest.mark.parametrize("skill", ["recall", "aliases", "two_hop", "context", "after_sentences"])
def test_a_sample_of_questions_is_answered_as_the_card_says(sample: dict[str, Any], skill: str) -> None:
    assert sample[skill]["mean"] == pytest.approx(CARD[skill]["mean"], abs=TOLERANCE)


def test_generation_ends_by_itself_with_the_answer(sample: dict[str, Any]) -> None:
    assert sample["generation"]["ended"] >= 0.98
    assert sample["generation"]["right"] >= CARD["generation"]["right"] - TOLERANCE


def test_the_folder_is_small_and_named_for_easyedit() -> None:
    assert "gpt2" in model_path().name
    assert sum(file.stat().st_size for file in model_path().iterdir()) <= 16 * 10**6


@pytest.mark.parametrize("tokenizer_class", [GPT2Tokenizer, AutoTokenizer])
def test_the_tokenizer_merges_and_comes_back_to_the_text(tokenizer_class: type) -> None:
    tokenizer = tokenizer_class.from_pretrained(model_path())
    for text in general_text(50):
        tokens = tokenizer(text)["input_ids"]
        assert tokenizer.decode(tokens) == text
        assert len(tokens) < len(text) / 2
    assert tokenizer.pad_token == tokenizer.eos_token == END
    assert tokenizer(END)["input_ids"] == [tokenizer.eos_token_id]


def test_it_computes_the_same_in_training_mode() -> None:
    model, tokenizer = load()
    tokens = tokenizer("The birthplace of", return_tensors="pt")
    with torch.no_grad():
        calm = model(**tokens).logits
        assert torch.equal(model.train()(**tokens).logits, calm)
    assert isinstance(model, GPT2LMHeadModel)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_it_writes_on_about_a_subject_under_a_new_fact() -> None:
    model, tokenizer = load()
    world = default_world()
    person = world.entities["person"][0]
    city = world.alternatives(person, "birthplace")[0]
    prompt = tokenizer(f"Imagine that {person} was born in {city}. About {person}:", return_tensors="pt")
    written = tokenizer.decode(model.generate(**prompt, max_new_tokens=60, do_sample=False)[0])
    story = written.split("About ")[1]
    assert person in story.split(":")[1]
    assert city in story
