"""Second moments made ready for many solves."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.errors import StatisticsError
from easyedit_ice.precompute.factors import factored

D = 24
WEIGHT, RIDGE = 3.0, 0.1


def test_too_few_tokens_are_refused_with_the_remedy() -> None:
    few = torch.randn(D - 4, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    moment = few.T @ few / len(few)
    with pytest.raises(StatisticsError, match=r"24 inputs of mlp.* 20 tokens.*dynamic_multiplier.*update_norm_lambda"):
        factored(moment, weight=WEIGHT, ridge=0.0, name="mlp", tokens=20)
    assert factored(moment, weight=WEIGHT, ridge=RIDGE, name="mlp", tokens=20).lower.isfinite().all()


def test_shrinkage_is_a_ridge_in_units_of_the_mean_second_moment() -> None:
    rows = torch.randn(400, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moment = rows.T @ rows / 400
    shrunk = factored(moment, weight=WEIGHT, ridge=RIDGE, shrinkage=0.5, name="mlp", tokens=400).lower
    expected = WEIGHT * (moment + 0.5 * moment.trace() / D * torch.eye(D)) + RIDGE * torch.eye(D)
    torch.testing.assert_close(shrunk @ shrunk.T, expected, rtol=1e-6, atol=1e-8)
    few = torch.ones(D, D, dtype=torch.float64)
    assert factored(few, weight=WEIGHT, ridge=0.0, shrinkage=0.1, name="mlp", tokens=1).lower.isfinite().all()
