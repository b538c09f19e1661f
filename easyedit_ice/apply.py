"""From a list of facts to an edited model, for every algorithm alike."""

from __future__ import annotations

import copy as copying
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from torch import nn

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.asking import asking_for
from easyedit_ice.base import as_info, base_of
from easyedit_ice.errors import DriftError, HyperParamsError, RequestError
from easyedit_ice.fused import fused_activations
from easyedit_ice.hparams import EditHyperParams
from easyedit_ice.memory import edits_in, recall
from easyedit_ice.preserve import preserved
from easyedit_ice.registry import ALGORITHMS, AlgorithmSpec
from easyedit_ice.requests import EditRequest, check_tokens
from easyedit_ice.text.plain_text import MEASURED, Movement, movement, said, statements
from easyedit_ice.updates import OriginalWeights, WeightUpdate

logger = logging.getLogger(__name__)

Requests = Sequence[Mapping[str, Any] | EditRequest]


def solve(model: nn.Module, tok: Any, requests: Requests, hparams: EditHyperParams) -> WeightUpdate:
    """Find the weight update that writes the facts; the model is left exactly as it was.

    Args:
        model: any causal language model of transformers.
        tok: its tokenizer.
        requests: facts, as :class:`~easyedit_ice.requests.EditRequest` or as EasyEdit's dicts.
        hparams: settings of a registered algorithm; their ``alg_name`` chooses it.

    Raises:
        UnknownAlgorithmError: ``hparams.alg_name`` is not in the table.
        RequestError: a fact cannot be edited; the message names it. With ``skip_unfit`` it is left out with a warning,
            and the update's ``info`` says so.
        HyperParamsError: ``chat`` is set, and the tokenizer has no chat template that can be used.
        DriftError: the edit moves plain statements by more than ``max_drift``.
    """
    return solve_with(ALGORITHMS[hparams.alg_name], model, tok, requests, hparams)


def solve_with(
    spec: AlgorithmSpec, model: nn.Module, tok: Any, requests: Requests, hparams: EditHyperParams
) -> WeightUpdate:
    """:func:`solve` for an algorithm that need not be in the table."""
    if not isinstance(hparams, spec.hparams_class):
        raise HyperParamsError(f"{spec.name} got {type(hparams).__name__}; it needs {spec.hparams_class.__name__}")
    unfit: list[RequestError] | None = [] if hparams.skip_unfit else None
    asking, longest = asking_for(tok, hparams.chat), ModelAnatomy(model).context_length

    def check(request: EditRequest, index: int) -> None:
        check_tokens(replace(request, asking=asking), index, tok, longest)

    prepared = EditRequest.prepare(requests, spec.needs_subject, unfit, check)
    facts = tuple(replace(request, asking=asking) for request in prepared)
    for error in unfit or ():
        logger.warning("left out: %s", error)
    with preserved(model, tok), fused_activations(model):
        update = spec.solve_function(model, tok, facts, hparams)
    moved = _movement(model, tok, facts, update)
    _judge(moved, hparams)
    found = {"drift": moved and asdict(moved)} | ({"left_out": [str(error) for error in unfit]} if unfit else {})
    return replace(update, info=update.info | _origin(model, facts) | found)


def _origin(model: nn.Module, facts: Sequence[EditRequest]) -> dict[str, Any]:
    """What was asked for, and the weights it was solved on."""
    return {"base": as_info(base_of(model)), "requests": [fact.to_dict() for fact in facts]}


def _movement(model: nn.Module, tok: Any, facts: Sequence[EditRequest], update: WeightUpdate) -> Movement | None:
    """What an update does to plain statements, if there are any for it; the model is left without it."""
    rows = statements(model, tok, MEASURED, facts)
    if not rows:
        return None
    with preserved(model), fused_activations(model):
        model.eval()
        before = said(model, rows)
        update.commit(model)
        try:
            return movement(model, rows, before)
        finally:
            update.revert(model)


def _judge(moved: Movement | None, hparams: EditHyperParams) -> None:
    """Refuse an edit that moves too much besides its facts, or warn of it."""
    if moved is None:
        if hparams.max_drift is not None:
            logger.warning(
                "max_drift is %s, and there is no plain statement to hold %s to it: the edit is about all of them, or "
                "the tokenizer makes nothing of them",
                hparams.max_drift,
                hparams.alg_name,
            )
        return
    told = (
        f"{hparams.alg_name} moves plain statements that the edit is not about by {moved.kl:.3g} nats per token, and "
        f"{1 - moved.kept:.0%} of their likeliest words change"
    )
    if hparams.max_drift is not None and not moved.kl <= hparams.max_drift:
        raise DriftError(f"{told}; max_drift allows {hparams.max_drift}: {hparams.gentler}")
    if hparams.warn_drift is not None and not moved.kl <= hparams.warn_drift:
        logger.warning("%s (warn_drift is %s): %s", told, hparams.warn_drift, hparams.gentler)


def apply_to_model(
    spec: AlgorithmSpec,
    model: nn.Module,
    tok: Any,
    requests: Requests,
    hparams: EditHyperParams,
    copy: bool = False,
    return_orig_weights: bool = False,
    keep_original_weight: bool = False,
    **kwargs: Any,
) -> tuple[nn.Module, OriginalWeights]:
    """EasyEdit's ``apply_…_to_model``, in the meaning of its current head.

    Args:
        spec: the algorithm.
        model: edited in place unless ``copy``.
        tok: its tokenizer.
        requests: EasyEdit's request dicts.
        hparams: settings of the algorithm.
        copy: edit a deep copy and leave ``model`` as it is.
        return_orig_weights: return what restores the model.
        keep_original_weight: has no effect here; EasyEdit's release gives it a meaning, which the host adds.
        **kwargs: what EasyEdit passes to every algorithm and this one does not use.

    Returns:
        the edited model, and the original weights by parameter name (empty unless ``return_orig_weights``).
    """
    if copy:
        edits = edits_in(model)
        model = copying.deepcopy(model)
        recall(model, edits)
    originals = solve_with(spec, model, tok, requests, hparams).commit(model)
    return model, originals if return_orig_weights else OriginalWeights()
