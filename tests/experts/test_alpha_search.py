"""Alphas found by the cross-entropy method."""

from __future__ import annotations

import pytest
import torch
from made_experts import FP32, PROMPTS, expert

from easyedit_ice.errors import ExpertError
from easyedit_ice.experts import Example, cross_entropy_method, mixed, search_alphas
from easyedit_ice.testing.tiny_models import tokenizer
from easyedit_ice.text.rows import encode, predict
from easyedit_ice.text.sampling import write

PLANTED = torch.tensor([0.9, 0.1, 0.6])


def _near(members):
    return [(-float((member - PLANTED).square().sum()),) for member in members]


def test_a_planted_optimum_is_found():
    found = cross_entropy_method(_near, torch.full((3,), 1 / 3), iterations=25)
    torch.testing.assert_close(found.best, PLANTED, atol=0.02, rtol=0)
    assert len(found.history) == 25


def test_the_best_never_gets_worse_and_members_stay_within_bounds():
    seen = []

    def score(members):
        seen.append(members)
        return _near(members)

    found = cross_entropy_method(score, torch.full((3,), 1 / 3))
    best = [one.best for one in found.history]
    assert best == sorted(best)
    assert all(((members >= 0) & (members <= 1)).all() for members in seen)
    assert all(members.shape == (32, 3) for members in seen)


def test_the_start_and_then_the_best_so_far_are_among_the_members():
    seen = []

    def score(members):
        seen.append(members)
        return _near(members)

    start = torch.full((3,), 1 / 3)
    cross_entropy_method(score, start, iterations=3)
    assert torch.equal(seen[0][0], start)
    scores = _near(seen[0])
    assert torch.equal(seen[1][0], seen[0][scores.index(max(scores))])


def test_equal_seeds_find_the_same_and_draw_nothing_from_the_global_generator():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one, same = (cross_entropy_method(_near, torch.full((3,), 0.5), seed=7, iterations=4) for _ in range(2))
    other = cross_entropy_method(_near, torch.full((3,), 0.5), seed=8, iterations=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.best, same.best) and one.history == same.history
    assert not torch.equal(one.best, other.best)


@pytest.mark.parametrize("settings", [{"elites": 0}, {"elites": 40}, {"iterations": 0}])
def test_settings_that_leave_nothing_to_choose_are_refused(settings):
    with pytest.raises(ExpertError, match="expected at least one iteration"):
        cross_entropy_method(_near, PLANTED, **settings)


@pytest.fixture(scope="module", params=FP32, ids=lambda shape: shape.name)
def planted(request):
    """A model, two experts, and examples whose answers are what the second one writes."""
    model, tok = request.param.build(), tokenizer()
    experts = [expert(model, "one", 1), expert(model, "two", 2)]
    update = mixed(experts, {"two": 1.0}, model)
    update.commit(model)
    texts = write(model, tok, [tok.encode(prompt) for prompt in PROMPTS], length=3)
    update.revert(model)
    answers = [tok.decode(text).strip() for text in texts]
    return model, tok, experts, [Example(*pair) for pair in zip(PROMPTS, answers, strict=True)]


@pytest.mark.parametrize("by_module", [False, True])
def test_the_search_finds_an_expert_that_knows_the_examples(planted, by_module):
    model, tok, experts, examples = planted
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = search_alphas(model, tok, experts, examples, by_module=by_module, iterations=5)
    assert found.best.shape == ((2, 2) if by_module else (2,))
    assert found.score > found.history[0].best or found.score[0] == 1.0
    same = search_alphas(model, tok, experts, examples, by_module=by_module, iterations=5)
    assert torch.equal(found.best, same.best)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_members_score_is_that_of_its_mixture_committed(planted):
    model, tok, experts, examples = planted
    found = search_alphas(model, tok, experts, examples, iterations=1)
    update = mixed(experts, found.best, model)
    update.commit(model)
    rows = [encode(tok, one.prompt, f" {one.answer}") for one in examples]
    with torch.no_grad():
        expected = -predict(model, rows).nll().mean().item()
    update.revert(model)
    assert found.score[1] == pytest.approx(expected, abs=1e-4)


def test_answers_may_be_written_freely(planted):
    model, tok, experts, examples = planted
    found = search_alphas(model, tok, experts, examples[:1], scoring="generated", iterations=1, population=6)
    assert 0 <= found.score[0] <= 1


def test_without_examples_there_is_nothing_to_search_by(planted):
    model, tok, experts, examples = planted
    with pytest.raises(ExpertError, match="no examples"):
        search_alphas(model, tok, experts, [])
    with pytest.raises(ExpertError, match="'guessed'; choose one of forced, generated"):
        search_alphas(model, tok, experts, examples, scoring="guessed")
