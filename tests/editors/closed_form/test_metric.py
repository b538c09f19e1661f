"""What a change of a projection costs, with earlier edits in it."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.edit.history import forget, remember
from easyedit_ice.editors.closed_form.metric import Metric, Pricing, general, metrics
from easyedit_ice.editors.closed_form.solver_settings import ClosedFormSettings, measuring_of, place_of
from easyedit_ice.errors import StatisticsError
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.tiny_models import SHAPES, tokenizer

D, WEIGHT = 24, 0.3


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _general() -> torch.Tensor:
    rows = _random(200, D)
    return rows.T @ rows / 200


def test_keys_added_edit_after_edit_are_protected_as_those_of_one_batch() -> None:
    moment, keys = _general(), _random(30, D, seed=1)
    unit = moment.diagonal().mean().item()
    streamed = Metric(torch.linalg.inv(moment / unit), unit, None)
    for own in keys.split([1, 4, 10, 15]):
        streamed = streamed.keeping(own, WEIGHT)
    batch = torch.linalg.inv(moment / unit + WEIGHT * keys.T @ keys / unit)
    torch.testing.assert_close(streamed.inward, batch)


def test_keys_that_weigh_so_much_that_rounding_hides_general_text_are_refused() -> None:
    moment, key = _general(), _random(1, D, seed=1)
    unit = moment.diagonal().mean().item()
    metric = Metric(torch.linalg.inv(moment / unit), unit, None)
    with pytest.raises(StatisticsError, match=r"2 keys with a weight of 1e\+40 .* lower neighbour_weight"):
        metric.keeping(torch.cat([key, key]), 1e40)


def _pricing(**settings: object) -> Pricing:
    hparams = ClosedFormSettings(mom2_dataset="factworld", dynamic_multiplier=3)
    return Pricing(
        **{"measuring": measuring_of(hparams), "shrinkage": 0.1, "kept_weight": 0.5, "output_shrinkage": 0.1} | settings
    )


def test_edits_of_the_model_are_in_it_to_the_same_bits_whether_told_at_once_or_one_by_one() -> None:
    found = []
    for told_at_once in (True, False):
        model = SHAPES[0].build()
        names = place_of(model, ClosedFormSettings(layers=[0])).names
        for seed in range(3):
            remember(model, {names[0]: _random(3, _width(model, names[0]), seed=seed).float()})
            if not told_at_once:
                metrics(model, tokenizer(), names, _pricing())
        found.append(metrics(model, tokenizer(), names, _pricing())[names[0]].inward)
        unprotected = metrics(model, tokenizer(), names, _pricing(kept_weight=0.0))[names[0]].inward
        assert torch.equal(unprotected, general(model, tokenizer(), names, _pricing())[names[0]].inward)
        assert not torch.equal(found[-1], unprotected)
    assert torch.equal(*found)


def test_an_edit_that_was_taken_out_is_protected_no_longer() -> None:
    model = SHAPES[0].build()
    names = place_of(model, ClosedFormSettings(layers=[0])).names
    before = metrics(model, tokenizer(), names, _pricing())[names[0]].inward
    edits = [{names[0]: _random(2, _width(model, names[0]), seed=seed).float()} for seed in range(2)]
    remember(model, edits[0])
    first = metrics(model, tokenizer(), names, _pricing())[names[0]].inward
    remember(model, edits[1])
    metrics(model, tokenizer(), names, _pricing())
    forget(model, edits[1])
    assert torch.equal(metrics(model, tokenizer(), names, _pricing())[names[0]].inward, first)
    forget(model, edits[0])
    assert torch.equal(metrics(model, tokenizer(), names, _pricing())[names[0]].inward, before)


def test_too_few_tokens_without_a_ridge_are_refused() -> None:
    model = SHAPES[0].build()
    names = place_of(model, ClosedFormSettings(layers=[0])).names
    few = measuring_of(ClosedFormSettings(mom2_dataset="factworld", dynamic=False, mom2_n_samples=1))
    with pytest.raises(StatisticsError, match="set mom2_shrinkage above 0"):
        metrics(model, tokenizer(), names, _pricing(measuring=few, shrinkage=0.0))


def _width(model: torch.nn.Module, name: str) -> int:
    return ModelAnatomy(model).projection(name).in_features
