"""Letting a model write."""

from __future__ import annotations

import pytest
import torch
from odd_tokenizers import byte_level

from easyedit_ice.testing.tiny_models import SHAPES, tokenizer
from easyedit_ice.text import sampling
from easyedit_ice.text.sampling import sample, write

PREFIXES = [(5, 6, 7), (8,), (9, 10, 11, 12, 13)]


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


@pytest.mark.parametrize("temperature", [1e-6, 1e-60, 1e-320])
def test_a_low_temperature_draws_the_likeliest(model, temperature):
    assert _drawn(model, temperature=temperature) == write(model, tokenizer(), PREFIXES, length=6)


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


NASTY = {
    "repetition_penalty": 9.0,
    "encoder_repetition_penalty": 9.0,
    "no_repeat_ngram_size": 1,
    "suppress_tokens": list(range(20, 300)),
    "begin_suppress_tokens": list(range(300, 315)),
    "forced_bos_token_id": 17,
    "forced_eos_token_id": 18,
    "min_length": 4000,
    "min_new_tokens": 4000,
    "max_length": 3,
    "bad_words_ids": [[index] for index in range(30, 200)],
    "sequence_bias": [[[33], 1e3]],
    "exponential_decay_length_penalty": (1, 50.0),
    "temperature": 7.0,
    "top_k": 1,
    "top_p": 0.01,
    "min_p": 0.99,
    "typical_p": 0.01,
    "epsilon_cutoff": 0.9,
    "eta_cutoff": 0.9,
    "guidance_scale": 3.0,
    "num_beams": 3,
    "num_return_sequences": 2,
    "length_penalty": -5.0,
    "do_sample": True,
    "stop_strings": ["a"],
    "return_dict_in_generate": True,
    "output_scores": True,
}
"""Settings of a checkpoint that change what is written, or how it comes back."""


HARMLESS = ("begin_suppress_tokens", "forced_bos_token_id", "length_penalty", "output_scores")
"""Those that do nothing to such a model when they stand alone."""


@pytest.fixture
def nasty_model():
    model = SHAPES[0].build()
    for name, value in NASTY.items():
        setattr(model.generation_config, name, value)
    return model


def test_greedy_is_greedy_whatever_the_checkpoint_prefers(nasty_model):
    texts = write(nasty_model, tokenizer(), PREFIXES, length=6)
    for prefix, text in zip(PREFIXES, texts, strict=True):
        ids = list(prefix)
        for token in text:
            with torch.no_grad():
                assert token == nasty_model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item()
            ids.append(token)
        assert len(text) == 6


@pytest.mark.parametrize("setting", [name for name in NASTY if name not in HARMLESS])
def test_no_single_setting_of_a_checkpoint_changes_what_is_drawn_or_written(model, setting):
    alone = SHAPES[0].build()
    setattr(alone.generation_config, setting, NASTY[setting])
    assert write(alone, tokenizer(), PREFIXES, length=6) == write(model, tokenizer(), PREFIXES, length=6)
    assert _drawn(alone) == _drawn(model)


def test_drawing_follows_the_models_own_distribution(nasty_model):
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        drawn = [token for (token,) in sample(nasty_model, tokenizer(), [PREFIXES[0]] * 4000, length=1)]
        probabilities = nasty_model(input_ids=torch.tensor([PREFIXES[0]])).logits[0, -1].softmax(-1)
    shares = torch.tensor(drawn).bincount(minlength=len(probabilities)) / len(drawn)
    assert (shares - probabilities).abs().sum() < 2 * (len(probabilities) / len(drawn)) ** 0.5


def test_the_models_generation_settings_stay_the_very_same_also_after_an_error(nasty_model):
    own, values = nasty_model.generation_config, nasty_model.generation_config.to_dict()
    write(nasty_model, tokenizer(), PREFIXES, length=2)
    with pytest.raises(IndexError):
        write(nasty_model, tokenizer(), [(10**6,)], length=2)
    assert nasty_model.generation_config is own
    assert own.to_dict() == values


@pytest.mark.parametrize("draw", [sample, write])
def test_any_of_the_ends_that_the_model_lists_ends_a_text(model, draw):
    other = SHAPES[0].build()
    (text,) = write(model, tokenizer(), [PREFIXES[0]], length=3)
    other.generation_config.eos_token_id = [tokenizer().eos_token_id, *text]
    assert write(other, tokenizer(), [PREFIXES[0]], length=3) == [text[:1]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ends = {*text, tokenizer().eos_token_id}
        for drawn in draw(other, tokenizer(), [PREFIXES[0]] * 20, length=9):
            assert not ends & set(drawn[:-1])


@pytest.mark.parametrize("pad", ["<pad>", None])
def test_padding_that_the_model_has_no_row_for_does_not_matter(model, pad):
    tok = byte_level(eos_token=None)
    if pad:
        tok.add_special_tokens({"pad_token": pad})
        assert tok.pad_token_id >= model.get_input_embeddings().weight.shape[0]
    assert write(model, tok, PREFIXES, length=4) == write(model, tokenizer(), PREFIXES, length=4)
    assert tok.pad_token == pad
