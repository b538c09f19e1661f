"""Second moments of what projections read."""

from __future__ import annotations

import pytest
import torch
from architectures import ARCHITECTURES, tiny

from easyedit_ice import factworld
from easyedit_ice.errors import DataError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute import second_moments as statistics
from easyedit_ice.precompute.second_moments import second_moments
from easyedit_ice.testing.tiny_models import SHAPES, Shape, tokenizer

TEXTS = list(factworld.general_text(30, seed=5))


@pytest.fixture(scope="module")
def embedded() -> tuple:
    return factworld.load()


@torch.no_grad()
def _directly(model: torch.nn.Module, tok: object, name: str, texts: list[str]) -> torch.Tensor:
    """One text at a time, without padding, all in fp64."""
    read = []
    handle = model.get_submodule(name).register_forward_pre_hook(
        lambda module, args: read.append(args[0].flatten(0, -2).double())
    )
    for text in texts:
        model(**tok(text, return_tensors="pt"))
    handle.remove()
    keys = torch.cat(read)
    return keys.T @ keys / len(keys)


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_they_are_means_over_all_tokens(shape: Shape) -> None:
    model, tok = shape.build(), tokenizer()
    names = [projection.name for projection in ModelAnatomy(model).projections]
    texts = [text[:50] for text in TEXTS]
    found = second_moments(model, tok, names, texts)
    assert found.tokens == sum(len(tok(text)["input_ids"]) for text in texts)
    tolerance = 1e-5 if shape.dtype == torch.float32 else 2e-2
    for name in names:
        expected = _directly(model, tok, name, texts)
        assert (found.moments[name] - expected).abs().max() < tolerance * expected.abs().max()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_measured(name: str) -> None:
    model, tok = tiny(name, vocab_size=len(tokenizer())), tokenizer()
    names = [projection.name for projection in ModelAnatomy(model).select("mlp", "out")]
    texts = [text[:30] for text in TEXTS[:4]]
    found = second_moments(model, tok, names, texts)
    for path in names:
        torch.testing.assert_close(found.moments[path], _directly(model, tok, path, texts), rtol=1e-4, atol=1e-6)


def test_batching_does_not_matter(embedded: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "transformer.h.2.mlp.c_proj"
    together = second_moments(*embedded, [name], TEXTS).moments[name]
    monkeypatch.setattr(statistics, "BATCH_TOKENS", 1)
    alone = second_moments(*embedded, [name], TEXTS).moments[name]
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6 * alone.abs().max().item())


def test_the_pass_ends_at_the_last_of_them(embedded: tuple) -> None:
    model, tok = embedded
    names = ["transformer.h.1.mlp.c_proj", "transformer.h.2.mlp.c_proj"]
    ran = []
    handles = [
        block.register_forward_pre_hook(lambda module, args, layer=layer: ran.append(layer))
        for layer, block in enumerate(model.transformer.h)
    ]
    second_moments(model, tok, names, TEXTS)
    for handle in handles:
        handle.remove()
    assert set(ran) == {0, 1, 2}


def test_no_more_tokens_are_read_than_asked_for(embedded: tuple) -> None:
    model, tok = embedded
    name = "transformer.h.0.mlp.c_proj"
    length = len(tok(TEXTS[0])["input_ids"])
    found = second_moments(model, tok, [name], TEXTS, tokens=length + 2)
    assert found.tokens == length + 2
    begun = tok.decode(tok(TEXTS[1])["input_ids"][:2])
    expected = _directly(model, tok, name, [TEXTS[0], begun])
    torch.testing.assert_close(found.moments[name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("texts", "tokens"), [([], None), (TEXTS[:1], 10**6)])
def test_too_little_text_is_refused(texts: list[str], tokens: int | None, embedded: tuple) -> None:
    with pytest.raises(DataError, match="give more text"):
        second_moments(*embedded, ["transformer.h.0.mlp.c_proj"], texts, tokens)


def test_the_model_stays_as_it_was(embedded: tuple) -> None:
    model, tok = embedded
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    second_moments(model, tok, ["transformer.h.0.mlp.c_proj"], TEXTS)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())
