"""What is left of edits that stay; how it is asked is seen in each EasyEdit (``behaviours_edit.py``)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from easyedit_ice.easyedit.retention import retained
from easyedit_ice.errors import RequestError, ScoringProtocolError


@pytest.mark.parametrize("method", ["IKE", "ICE"])
def test_a_method_that_changes_no_model_retains_nothing(method: str) -> None:
    with pytest.raises(ScoringProtocolError, match=f"{method} states facts before the question"):
        retained(SimpleNamespace(alg_name=method), [])


@pytest.mark.parametrize("case", [{"post": {}}, {"requested_rewrite": "The capital of"}, "post"])
def test_metrics_of_another_form_are_refused_by_their_place(case: object) -> None:
    with pytest.raises(RequestError, match="requested_rewrite") as caught:
        retained(SimpleNamespace(alg_name="FT", model=None), [{"requested_rewrite": {}}, case])
    assert caught.value.index == 1
