"""Letting a model write."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.testing.models import SHAPES, tokenizer
from easyedit_ice.text import sampling
from easyedit_ice.text.sampling import sample, write

PREFIXES = [(5, 6, 7), (8,), (9, 10, 11, 12, 13)]


@pytest.fixture(scope="module")
def model():
    return SHAPES[0].build()


@pytest.fixture
def ending_model(model):
    """Writes the end of text as the second token after whatever it is given."""

    def end(module, args, kwargs, output):
        if output.logits.shape[1] == 1:
            output.logits[..., tokenizer().eos_token_id] = 100.0
        return output

    handle = model.register_forward_hook(end, with_kwargs=True)
    yield model
    handle.remove()


def _drawn(model, seed: int = 0, **settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return sample(model, tokenizer(), PREFIXES, length=6, **settings)


def test_the_same_seed_draws_the_same_texts(model):
    assert _drawn(model) == _drawn(model)
    assert _drawn(model) != _drawn(model, seed=1)


def test_each_prefix_gets_a_text_of_at_most_the_length_asked_for(model):
    texts = _drawn(model)
    assert len(texts) == len(PREFIXES)
    assert all(1 <= len(text) <= 6 for text in texts)


@pytest.mark.parametrize("draw", [sample, write])
def test_a_text_ends_with_the_first_end_of_text(ending_model, draw):
    tok = tokenizer()
    texts = draw(ending_model, tok, [PREFIXES[0]] * 2, length=6)
    assert [text.index(tok.eos_token_id) for text in texts] == [len(text) - 1 for text in texts]
    assert all(len(text) <= 2 for text in texts)


def test_writing_takes_the_likeliest_token_after_each_prefix_whatever_stands_beside_it(model):
    texts = write(model, tokenizer(), PREFIXES, length=4)
    for prefix, text in zip(PREFIXES, texts, strict=True):
        ids = list(prefix)
        for token in text:
            with torch.no_grad():
                assert token == model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item()
            ids.append(token)


def test_many_prefixes_are_written_on_in_several_passes(model, monkeypatch):
    together = write(model, tokenizer(), PREFIXES, length=4)
    monkeypatch.setattr(sampling, "ROWS", 2)
    assert write(model, tokenizer(), PREFIXES, length=4) == together


def test_the_one_likeliest_token_is_drawn_if_top_k_is_one(model):
    assert _drawn(model, top_k=1) == write(model, tokenizer(), PREFIXES, length=6)


def test_a_low_temperature_draws_the_likeliest(model):
    assert _drawn(model, temperature=1e-6) == write(model, tokenizer(), PREFIXES, length=6)


def test_the_models_own_generation_settings_play_no_part(model):
    before = _drawn(model)
    kept = model.generation_config.top_k, model.generation_config.temperature
    model.generation_config.top_k, model.generation_config.temperature = 1, 0.5
    try:
        assert _drawn(model) == before
    finally:
        model.generation_config.top_k, model.generation_config.temperature = kept


def test_no_more_is_drawn_than_the_models_context_has_room_for(model):
    longest = model.config.n_positions
    prefixes = [(5,) * (longest + 1), (5,) * (longest - 1), (5,) * (longest - 5), (6, 7)]
    full, *others = sample(model, tokenizer(), prefixes, length=6)
    assert full == ()
    assert all(0 < len(text) <= most for text, most in zip(others, (2, 6, 6), strict=True))
    assert sample(model, tokenizer(), prefixes[:1], length=6) == [()]
    (whole,) = sample(model, tokenizer(), [(5,)], length=10 * longest)
    assert 0 < len(whole) <= longest
