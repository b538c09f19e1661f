"""What is left of the edits of a ``BaseEditor`` once all of them are in force.

EasyEdit scores an edit that stays right after itself: its release always did, and its head does so since June 2026,
whatever its README says of sequential edits. What later edits did to earlier ones does not show in these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from torch import nn

from easyedit_ice.easyedit.loading.import_hook import import_easyeditor
from easyedit_ice.easyedit.scoring import easyedit_qualities
from easyedit_ice.errors import RequestError, ScoringProtocolError

_IN_CONTEXT = ("IKE", "ICE")
"""Methods of EasyEdit that change no model: what they show it is gone with the question."""


def retained(
    editor: Any,
    metrics: Sequence[Mapping[str, Any]],
    *,
    model: nn.Module | None = None,
    unedited: nn.Module | None = None,
) -> list[dict[str, Any]]:
    """Ask the facts of edits that stayed again, by EasyEdit's own evaluator, and leave the model as it is.

    Args:
        editor: EasyEdit's, after ``edit``, ``edit_requests`` or ``batch_edit`` with edits that stay
            (``sequential_edit=True`` at head; without ``keep_original_weight=True`` in the release).
        metrics: that it returned; they are left as they were.
        model: the edited one; that of the editor by default, which most methods of EasyEdit edit in place.
        unedited: another copy of the model, as it was before the first edit. Locality compares with its answers;
            without it ``retained`` has none.

    Returns:
        the same metrics, each with an entry ``retained`` in the form of ``post``.

    Raises:
        RequestError: an entry is not of an edit; it says which.
        ScoringProtocolError: the method changes no model, so that nothing of it can be retained.
    """
    if editor.alg_name in _IN_CONTEXT:
        raise ScoringProtocolError(
            f"{editor.alg_name} states facts before the question and changes no model: nothing of it stays to be asked "
            "again; compare it by the scores that its edit returned"
        )
    requests = [_request(case, index) for index, case in enumerate(metrics)]
    edited = editor.model if model is None else model
    cases = []
    for case, request in zip(metrics, requests, strict=True):
        scores = _scores(editor, edited, request)
        locality = {} if unedited is None else _scores(editor, unedited, request)["locality"]
        cases.append({**case, "retained": _compared(editor, request, scores, locality)})
    return cases


def _request(case: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    request = case.get("requested_rewrite") if isinstance(case, Mapping) else None
    if not isinstance(request, Mapping):
        raise RequestError("it has no 'requested_rewrite'; expected the metrics that an editor returned", index)
    return request


def _scores(editor: Any, model: nn.Module, request: Mapping[str, Any]) -> dict[str, Any]:
    training = model.training
    try:
        (scores,) = easyedit_qualities(model.eval(), editor.tok, [dict(request)], editor.hparams)
    finally:
        model.train(training)
    return scores


def _compared(
    editor: Any, request: Mapping[str, Any], scores: dict[str, Any], before: dict[str, Any]
) -> dict[str, Any]:
    """Scores with the locality that EasyEdit makes of answers before and after, in its own form; else without any."""
    if not before:
        return scores | {"locality": {}}
    editing = import_module(f"{import_easyeditor().__name__}.editors.editor")
    if hasattr(editing, "finalize_locality_metrics"):
        case = {"pre": {"locality": before}, "post": scores}
        editing.finalize_locality_metrics(case, request, editor.hparams, editor.model_name)
        return scores
    kinds = [name.removesuffix("_output") for name in before]
    stayed = {
        f"{kind}_acc": [
            np.mean(np.equal(old, new))
            for old, new in zip(before[f"{kind}_output"], scores["locality"][f"{kind}_output"], strict=True)
        ]
        for kind in kinds
    }
    return scores | {"locality": stayed}
