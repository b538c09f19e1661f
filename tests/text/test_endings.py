"""Whether a model ends its answers itself."""

from __future__ import annotations

import pytest
from odd_tokenizers import byte_level

from easyedit_ice import factworld
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer
from easyedit_ice.text import endings
from easyedit_ice.text.endings import LENGTH, PROMPTS, ends_answers


def _writing(monkeypatch, texts):
    """The model writes these in turn."""
    asked = []

    def write(model, tok, prefixes, *, length):
        asked.append(len(prefixes))
        return [texts[index % len(texts)] for index in range(len(prefixes))]

    monkeypatch.setattr(endings, "write", write)
    return asked


def test_the_embedded_model_ends_its_answers_and_a_random_one_does_not(model):
    assert ends_answers(*factworld.load())
    assert not ends_answers(model, tokenizer())


@pytest.mark.parametrize(
    ("texts", "ends"),
    [([(5, 0)], True), ([(5, 0), (5, 6)], True), ([(5, 0), (5, 6), (7, 8)], False), ([(5, 6)], False)],
)
def test_half_of_the_answers_must_end(model, monkeypatch, texts, ends):
    _writing(monkeypatch, texts)
    assert ends_answers(model, tokenizer()) is ends


def test_a_model_is_asked_once(model, monkeypatch):
    asked = _writing(monkeypatch, [(5, 0)])
    assert ends_answers(model, tokenizer())
    assert ends_answers(model, tokenizer())
    assert asked == [len(PROMPTS)]


def test_a_context_without_room_for_an_answer_and_a_model_without_an_end_of_text_count_as_none(model, monkeypatch):
    _writing(monkeypatch, [(5, 0)])
    model.config.max_position_embeddings = LENGTH
    assert not ends_answers(model, tokenizer())
    endless = SHAPES[0].build()
    endless.generation_config.eos_token_id = None
    assert not ends_answers(endless, byte_level(eos_token=None))
