"""The model as its own teacher."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.editors.gradient import teacher as module
from easyedit_ice.editors.gradient.adapters import LowRankAdapter
from easyedit_ice.editors.gradient.teacher import Teacher
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.text.rows import Row, predict

ROWS = [Row((5, 6, 7, 8), 2), Row((9, 5, 6), 1)]


@pytest.fixture
def adapter(model):
    projections = ModelAnatomy(model).match(["mlp.out"])
    adapter = LowRankAdapter(model, projections, rank=2, alpha=2.0, dropout=0.0)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.normal_()
    return adapter


def test_before_is_the_model_without_the_adapter_and_now_the_model_with_it(model, adapter):
    teacher = Teacher(model, adapter.disabled)
    with adapter.disabled():
        unedited = predict(model, ROWS).log_probs
    assert torch.equal(teacher.before(ROWS), unedited)
    assert torch.equal(teacher.now(ROWS), predict(model, ROWS).log_probs)
    assert not torch.allclose(teacher.before(ROWS), teacher.now(ROWS))


def test_what_was_asked_once_is_remembered_in_any_order(model, adapter, monkeypatch):
    teacher = Teacher(model, adapter.disabled)
    first, second = teacher.before(ROWS).split([2, 1])
    monkeypatch.setattr(module, "predict", lambda *_: pytest.fail("computed again"))
    assert torch.equal(teacher.before(ROWS[::-1]), torch.cat([second, first]))


def test_beyond_its_memory_it_computes_again_and_says_the_same(model, adapter, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 0)
    teacher = Teacher(model, adapter.disabled)
    assert torch.equal(teacher.before(ROWS), teacher.before(ROWS))
