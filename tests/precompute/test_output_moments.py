"""How much it matters what a projection writes."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.errors import DataError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.precompute import output_moments
from easyedit_ice.precompute.moments import Measuring
from easyedit_ice.precompute.output_moments import measure, sensitivities, tokens_together
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

TEXTS = ["The river runs past the mill.", "Ana was born in Lisbon and lives in Porto.", "Who wrote it?"] * 40


def _names(model: torch.nn.Module) -> tuple[str, ...]:
    return tuple(projection.name for projection in ModelAnatomy(model).match(["mlp.out"]))


def test_it_is_the_same_again_and_a_second_moment() -> None:
    model = SHAPES[0].build()
    names = _names(model)
    found, again = (measure(model, tokenizer(), names, TEXTS, 200) for _ in range(2))
    for name in names:
        assert torch.equal(found[name], again[name])
        assert torch.linalg.eigvalsh(found[name]).min() > -1e-9
        assert found[name].trace() > 0


@torch.no_grad()
def test_it_says_how_far_predictions_move() -> None:
    model, tok = SHAPES[0].build(), tokenizer()
    name = _names(model)[-1]
    found = measure(model, tok, [name], TEXTS, 600)[name]
    _, directions = torch.linalg.eigh(found)
    ids = torch.tensor([tok(TEXTS[1])["input_ids"]])
    before = model(input_ids=ids).logits.log_softmax(-1)
    apart = []
    for direction in (directions[:, -1], directions[:, 0]):
        handle = model.get_submodule(name).register_forward_hook(
            lambda module, args, output, by=direction: output + 0.1 * by.float()
        )
        after = model(input_ids=ids).logits.log_softmax(-1)
        handle.remove()
        apart.append((before.exp() * (before - after)).sum(-1).mean())
    assert apart[0] > 5 * apart[1]


def test_it_is_measured_once_for_a_model_and_kept_on_disk(monkeypatch) -> None:
    measuring, model = Measuring("factworld", dynamic_multiplier=2), SHAPES[0].build()
    first = sensitivities(model, tokenizer(), _names(model), measuring)
    monkeypatch.setattr(output_moments, "measure", lambda *args: pytest.fail("measured again"))
    same = SHAPES[0].build()
    for name, own in sensitivities(same, tokenizer(), _names(same), measuring).items():
        assert torch.equal(own, first[name])


@pytest.mark.parametrize(("words", "expected"), [(1_000, 2048), (50_000, 335), (1_000_000, 64)])
def test_of_a_large_vocabulary_fewer_tokens_are_predicted_side_by_side(words: int, expected: int) -> None:
    model = SHAPES[0].build()
    model.resize_token_embeddings(words, mean_resizing=False)
    assert tokens_together(model) == expected


def test_how_many_tokens_run_side_by_side_does_not_matter(monkeypatch) -> None:
    model = SHAPES[0].build()
    names = _names(model)
    whole = measure(model, tokenizer(), names, TEXTS, 300, score="odds")
    monkeypatch.setattr(output_moments, "tokens_together", lambda model: 40)
    for name, own in measure(model, tokenizer(), names, TEXTS, 300, score="odds").items():
        torch.testing.assert_close(own, whole[name], rtol=1e-4, atol=1e-4 * whole[name].abs().max().item())


def test_too_little_text_is_refused() -> None:
    model = SHAPES[0].build()
    with pytest.raises(DataError, match="lower dynamic_multiplier"):
        measure(model, tokenizer(), _names(model), TEXTS[:2], 500)


def test_of_log_odds_it_is_the_second_moment_of_the_gradient_of_those_of_the_likeliest_token() -> None:
    model, tok = SHAPES[0].build(), tokenizer()
    name = _names(model)[0]
    ids = tok(TEXTS[1])["input_ids"]
    found = measure(model, tok, [name], [TEXTS[1]], len(ids), score="odds")[name]
    wrote = []

    def keep(module, args, output):
        wrote.append(output.requires_grad_())
        return wrote[0]

    handle = model.get_submodule(name).register_forward_hook(keep)
    with torch.enable_grad():
        log_probs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        most = log_probs.amax(-1)
        (gradients,) = torch.autograd.grad((most - torch.log1p(-most.exp())).sum(), wrote)
    handle.remove()
    expected = gradients[0].T.double() @ gradients[0].double() / len(ids)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-9)
    assert not torch.allclose(found, measure(model, tok, [name], [TEXTS[1]], len(ids))[name], rtol=0.1)
