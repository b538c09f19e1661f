"""Values are no longer than they are asked to be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from easyedit_ice import factworld
from easyedit_ice.data import to_requests
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form.outcome import lead
from easyedit_ice.editors.closed_form.subject_rows import fact_rows
from easyedit_ice.editors.closed_form.upper_blocks import UpperBlocks
from easyedit_ice.editors.closed_form.value_search import Search, Values, find_values

PROJECTION = "transformer.h.2.mlp.c_proj"
CONTEXTS = ("", "As it is said: ")
SEARCH = Search(25, 0.5, 0.0, 0.0625, 2.0, 0.001, None, "block")


@pytest.fixture(scope="module")
def world():
    model, tok = factworld.load()
    requests = EditRequest.prepare(to_requests(factworld.records("dev")[:4]))
    return model, [fact_rows(tok, request, CONTEXTS) for request in requests]


def _values(world, **changes: object) -> Values:
    model, facts = world
    with torch.enable_grad():
        return find_values(model, facts, PROJECTION, replace(SEARCH, **changes))


@pytest.mark.parametrize("lr", [0.5, None])
def test_a_search_may_end_once_the_target_leads_in_every_context(world, lr: float | None) -> None:
    model, facts = world
    sure, leading = _values(world, lr=lr), _values(world, lr=lr, stop_lead=0.5)
    assert sum(leading.steps) < sum(sure.steps)
    assert leading.delta.norm() < sure.delta.norm()
    rows = [row for fact in facts for row in fact.stated]
    owners = [index for index, fact in enumerate(facts) for _ in fact.stated]
    with torch.no_grad():
        found = UpperBlocks(model, rows, PROJECTION).log_probs(leading.delta[owners])
    assert lead(found, torch.tensor([token for row in rows for token in row.predicted])).min() >= 0.5


def test_a_value_may_keep_the_norm_of_what_was_there(world) -> None:
    free, natural = _values(world), _values(world, natural_norm=True)
    torch.testing.assert_close((natural.origin + natural.delta).norm(dim=1), natural.origin.norm(dim=1))
    assert not torch.allclose((free.origin + free.delta).norm(dim=1), free.origin.norm(dim=1), rtol=0.05)
    turned = torch.cosine_similarity(free.origin + free.delta, natural.origin + natural.delta)
    torch.testing.assert_close(turned, torch.ones(len(turned)))
