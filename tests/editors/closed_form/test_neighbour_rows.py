"""Texts of neighbours, which an edit must leave as they are."""

from __future__ import annotations

import pytest

from easyedit_ice import factworld
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.editors.closed_form import neighbour_rows as module
from easyedit_ice.editors.closed_form.neighbour_rows import neighbour_rows


@pytest.fixture(scope="module")
def embedded():
    return factworld.load()


def _requests(count: int) -> tuple[EditRequest, ...]:
    return EditRequest.prepare(
        [
            {"prompt": record["prompt"], "subject": record["subject"], "target_new": record["target_new"]}
            for record in factworld.records("dev")[:count]
        ]
    )


def test_other_names_stand_in_the_subjects_place_and_the_model_goes_on(embedded) -> None:
    model, tok = embedded
    (request,) = _requests(1)
    texts = [tok.decode(row.ids) for row in neighbour_rows(model, tok, [request], "factworld", names=4, length=2)]
    before, after = request.prompt.split(request.subject)
    assert len(texts) >= 4
    assert not any(request.subject in text for text in texts)
    assert sum(before in text and after in text for text in texts) >= 4


def test_there_are_none_where_none_are_asked_for(embedded) -> None:
    assert list(neighbour_rows(*embedded, _requests(1), "factworld", names=0, length=2)) == []


def test_names_come_from_no_more_text_than_is_needed(embedded) -> None:
    rows = module._general(*embedded, "factworld")
    assert 256 <= sum(len(row.ids) for row in rows) < 256 + 64
