"""Text that a model writes itself is written once."""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path

import pytest
import torch

from easyedit_ice.errors import DamagedFileError, DataError
from easyedit_ice.model.baseline import baseline_of
from easyedit_ice.precompute.own_corpus import LENGTH, OWN_TEXTS, ROWS, own_texts
from easyedit_ice.runtime import progress
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def _texts(model: torch.nn.Module, count: int = 3) -> list[str]:
    return list(islice(own_texts(model, tokenizer()), count))


def test_the_same_model_does_not_write_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    written = _texts(SHAPES[0].build(), ROWS + 3)
    assert len(set(written)) > ROWS - 5
    again = SHAPES[0].build()
    monkeypatch.setattr(type(again), "generate", lambda *args, **kwargs: pytest.fail("it writes again"))
    assert _texts(again, ROWS + 3) == written


def test_another_model_writes_its_own() -> None:
    first, second = SHAPES[0].build(), SHAPES[0].build()
    with torch.no_grad():
        second.get_input_embeddings().weight.mul_(3)
    assert _texts(first) != _texts(second)


def test_what_an_edited_model_writes_is_not_kept_for_the_unedited_one() -> None:
    expected, model = _texts(SHAPES[0].build()), SHAPES[0].build()
    OWN_TEXTS.clear()
    baseline_of(model)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(3)
    assert _texts(model) != expected
    assert OWN_TEXTS.clear() == 0
    assert _texts(SHAPES[0].build()) == expected


def test_the_processs_random_state_stays_as_it_was() -> None:
    before = torch.get_rng_state()
    _texts(SHAPES[0].build())
    assert torch.equal(torch.get_rng_state(), before)


def test_words_are_drawn_as_often_as_the_model_finds_them_likely() -> None:
    model = SHAPES[0].build()
    begun = torch.tensor([[tokenizer().bos_token_id or tokenizer().eos_token_id]])
    with torch.no_grad():
        likely = model(input_ids=begun).logits[0, -1].softmax(-1)
    texts = _texts(model, 20 * ROWS)
    first = [tokenizer()(text)["input_ids"][0] for text in texts if text]
    word = int(likely.argmax())
    share, expected = first.count(word) / len(texts), likely[word].item()
    assert abs(share - expected) < 4 * (expected * (1 - expected) / len(texts)) ** 0.5 + 1e-3


@pytest.mark.parametrize("content", ["[", "{}", '["one"]', "[1]"])
def test_a_damaged_file_is_refused_until_it_is_deleted(content: str) -> None:
    model = SHAPES[0].build()
    written = _texts(model)
    [file] = OWN_TEXTS.paths()
    file.write_text(content)
    with pytest.raises(DamagedFileError, match=r"0\.json cannot be read.*stats clear"):
        _texts(model)
    assert OWN_TEXTS.clear() == 1
    assert _texts(model) == written


def test_the_log_says_now_and_then_how_far_it_has_come(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with caplog.at_level(logging.INFO):
        _texts(SHAPES[0].build())
    said = f"the model writes texts 1 to {ROWS}: 5 of {LENGTH} steps, about "
    assert any(record.getMessage().startswith(said) for record in caplog.records)


def test_a_model_that_ends_every_text_at_once_is_refused_and_not_waited_for() -> None:
    model = SHAPES[2].build()
    end = torch.tensor([tokenizer().eos_token_id])
    model.lm_head.register_forward_hook(lambda module, args, output: output.index_fill(-1, end, 100.0))
    with pytest.raises(DataError, match=r"the model writes nothing.*mom2_dataset"):
        _texts(model)
