"""How strongly facts must be written."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.edit.delta import DenseDelta
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.editors.closed_form import scales as scaled
from easyedit_ice.editors.closed_form.outcome import TargetScores
from easyedit_ice.editors.closed_form.scales import SCALES, least_scales
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.testing.cases import state
from easyedit_ice.testing.tiny_models import FACTS, tokenizer

REQUESTS = [EditRequest.from_dict(fact) for fact in FACTS[:2]]


def _found(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch, needs: tuple[float, float], **options: float):
    """With facts that lead by a nat from some scale on."""
    projection = ModelAnatomy(model).select("mlp", "out", [1])[0]
    tried: list[tuple[float, ...]] = []

    def update_of(scales: tuple[float, ...]) -> WeightUpdate:
        tried.append(scales)
        return WeightUpdate({projection.name: DenseDelta(torch.ones(projection.out_features, projection.in_features))})

    def stated(*args: object) -> TargetScores:
        leads = tuple(1.0 if scale >= least else -1.0 for scale, least in zip(tried[-1], needs, strict=True))
        return TargetScores((1.0, 1.0), tuple(lead > 0 for lead in leads), leads)

    monkeypatch.setattr(scaled, "stated", stated)
    return least_scales(model, tokenizer(), REQUESTS, update_of, **{"margin": 0.5, "least": 0.25} | options), tried


def test_each_fact_gets_the_least_scale_at_which_it_leads(model, monkeypatch) -> None:
    before = state(model)
    found, _ = _found(model, monkeypatch, (0.3, 1.4))
    assert found.scales == (0.375, 1.5)
    assert found.after.likeliest == (True, True)
    assert state(model) == before


def test_one_that_never_leads_ends_at_the_greatest(model, monkeypatch) -> None:
    found, tried = _found(model, monkeypatch, (0.0, 1e9))
    assert found.scales == (0.25, SCALES[-1])
    assert found.after.leads == (1.0, -1.0)
    assert len(tried) == 1 + len(SCALES)


def test_none_is_below_the_least_that_is_asked_for(model, monkeypatch) -> None:
    assert _found(model, monkeypatch, (0.0, 1.9), least=1.7)[0].scales == (1.7, 2.0)


def test_a_wider_margin_takes_a_greater_scale(model, monkeypatch) -> None:
    assert _found(model, monkeypatch, (0.0, 0.0), margin=2.0)[0].scales == (SCALES[-1], SCALES[-1])
