"""How a model states facts does not depend on how many are looked at together."""

from __future__ import annotations

import pytest
import torch

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form import outcome
from easyedit_ice.editors.closed_form.outcome import stated
from easyedit_ice.testing.tiny_models import FACTS, SHAPES, tokenizer
from easyedit_ice.text import rows
from easyedit_ice.text.rows import Predictions

REQUESTS = EditRequest.prepare(FACTS)


def test_a_large_batch_is_looked_at_in_parts_with_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tok = SHAPES[2].build(), tokenizer()
    together, seen, predict = stated(model, tok, REQUESTS), [], outcome.predict

    def counted(model: torch.nn.Module, part: list[rows.Row]) -> Predictions:
        seen.append(sum(row.span for row in part))
        return predict(model, part)

    monkeypatch.setattr(outcome, "predict", counted)
    monkeypatch.setattr(rows, "TOGETHER", 4 * len(tok) * 3)
    apart = stated(model, tok, REQUESTS)

    assert len(seen) > 1
    assert len(apart.nll) == len(REQUESTS)
    assert apart.nll == pytest.approx(together.nll, rel=1e-4)
    assert apart.likeliest == together.likeliest
    assert apart.leads == pytest.approx(together.leads, abs=1e-4)
