"""From a list of facts to an edited model, for every algorithm alike."""

from __future__ import annotations

import copy as copying
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from torch import nn

from easyedit_ice.edit.base_model import as_info, base_of
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.originals import OriginalWeights
from easyedit_ice.edit.plain_statements import MEASURED, Movement, movement, said, statements
from easyedit_ice.edit.registry import ALGORITHMS, Algorithm
from easyedit_ice.edit.request import EditRequest
from easyedit_ice.edit.request_keys import for_editors
from easyedit_ice.edit.soundness import require_sound
from easyedit_ice.edit.token_checks import check_tokens
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import AnatomyError, DriftError, HyperParamsError, LoadingError, RequestError
from easyedit_ice.model.activation_memory import vocabulary
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.edit_state import state_of
from easyedit_ice.model.fused_activation import fused_activations
from easyedit_ice.model.snapshot import preserved
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.model.unusual_weights import differentiable, refuse_offloaded
from easyedit_ice.runtime.randomness import drawing
from easyedit_ice.text.chat import asking_for

logger = logging.getLogger(__name__)

Requests = Sequence[Mapping[str, Any] | EditRequest]


def solve(model: nn.Module, tok: Tokenizer, requests: Requests, hparams: EditHyperParams) -> WeightUpdate:
    """Find the weight update that writes the facts; the model is left exactly as it was.

    Args:
        model: any causal language model of transformers.
        tok: its tokenizer.
        requests: facts, as :class:`~easyedit_ice.edit.request.EditRequest` or as EasyEdit's dicts.
        hparams: settings of a registered algorithm; their ``alg_name`` chooses it.

    Raises:
        UnknownAlgorithmError: ``hparams.alg_name`` is not in the table.
        RequestError: a fact cannot be edited; the message names it. With ``skip_unfit`` it is left out with a warning,
            and the update's ``info`` says so.
        HyperParamsError: ``chat`` is set, and the tokenizer has no chat template that can be used.
        AnatomyError: the model has no blocks, projections or weights that can be edited, or is none.
        LoadingError: ``tok`` is no tokenizer.
        UnsoundModelError: the model's answers are not numbers before any edit, or it is no causal one.
        DriftError: the edit moves plain statements by more than ``max_drift``.
        TrainingDivergedError: the edit's numbers become infinite or not numbers; or those of the model are.
        UpdateError: the edit would make a weight infinite or not a number.
        ModelInUseError: another thread edits this model.
    """
    return solve_with(_algorithm(hparams), model, tok, requests, hparams)


def prepare(model: nn.Module, tok: Tokenizer, requests: Requests, hparams: EditHyperParams) -> None:
    """Do what the algorithm does once for a model, such as to measure second moments; :func:`solve` then finds it done.

    The model is left exactly as it was, and the edit is the same to the bit. Arguments and errors are those of
    :func:`solve`: nothing is begun for facts that cannot be edited.
    """
    spec = _algorithm(hparams)
    facts, _ = _facts(spec, model, tok, requests, hparams)
    with state_of(model).in_use(), preserved(model, tok):
        model.eval()
        require_sound(model, tok, facts)
        spec.prepare_model(model, tok, hparams)


def _algorithm(hparams: EditHyperParams) -> Algorithm:
    if not isinstance(hparams, EditHyperParams):
        raise HyperParamsError(
            f"hparams is of type {type(hparams).__name__}; expected settings of an algorithm, such as "
            'FastMEMITHyperParams.from_hparams("auto")'
        )
    return ALGORITHMS[hparams.alg_name]


def solve_with(
    spec: Algorithm, model: nn.Module, tok: Tokenizer, requests: Requests, hparams: EditHyperParams
) -> WeightUpdate:
    """:func:`solve` for an algorithm that need not be in the table."""
    facts, unfit = _facts(spec, model, tok, requests, hparams)
    for error in unfit:
        logger.warning("left out: %s", error)
    with state_of(model).in_use(), differentiable(model):
        with preserved(model, tok), fused_activations(model), drawing(hparams.seed):
            model.eval()
            require_sound(model, tok, facts)
            update = spec.solve_function(model, tok, facts, hparams)
        size = _size(model, update)
        moved = _movement(model, tok, facts, update)
    _judge(moved, hparams)
    notes = {"drift": moved and asdict(moved)} | size | _origin(model, facts)
    return replace(update, info=update.info | notes | ({"left_out": [str(error) for error in unfit]} if unfit else {}))


def _facts(
    spec: Algorithm, model: nn.Module, tok: Tokenizer, requests: Requests, hparams: EditHyperParams
) -> tuple[tuple[EditRequest, ...], list[RequestError]]:
    """The facts that can be edited on this model, and with ``skip_unfit`` the errors of the others."""
    if not isinstance(hparams, spec.hparams_class):
        raise HyperParamsError(f"{spec.name} got {type(hparams).__name__}; it needs {spec.hparams_class.__name__}")
    _refuse_others(model, tok)
    unfit: list[RequestError] | None = [] if hparams.skip_unfit else None
    asking, longest = asking_for(tok, hparams.chat), ModelAnatomy(model).context_length
    refuse_offloaded(model)
    words = vocabulary(model)

    def check(request: EditRequest, index: int) -> None:
        check_tokens(replace(request, asking=asking), index, tok, longest, words)

    prepared = EditRequest.prepare(requests, spec.needs_subject, unfit, check)
    return tuple(replace(request, asking=asking) for request in prepared), unfit or []


def _refuse_others(model: object, tok: object) -> None:
    if not isinstance(model, nn.Module):
        raise AnatomyError(
            f"the model is of type {type(model).__name__}; expected a causal language model of transformers, such as "
            "load_model(hparams) returns beside its tokenizer"
        )
    if not callable(getattr(tok, "encode", None)):
        raise LoadingError(
            f"the tokenizer is of type {type(tok).__name__}; expected the model's own, such as load_model returns"
        )


def _origin(model: nn.Module, facts: Sequence[EditRequest]) -> dict[str, Any]:
    """What was asked for, and the weights it was solved on."""
    return {"base": as_info(base_of(model)), "requests": [fact.to_dict() for fact in facts]}


def _size(model: nn.Module, update: WeightUpdate) -> dict[str, Any]:
    """The largest ‖ΔW‖ / ‖W‖ as plain values, and words for a change that is as large as the weight itself."""
    sizes = update.sizes(model)
    name, size = max(sizes.items(), key=lambda pair: pair[1], default=("", 0.0))
    if size < 1:
        return {"size": size}
    return {"size": size, "oversized": f"the change of {name} is {size:.3g} times as large as the weight itself"}


def _movement(model: nn.Module, tok: Tokenizer, facts: Sequence[EditRequest], update: WeightUpdate) -> Movement | None:
    """What an update does to plain statements, if there are any for it; the model is left without it."""
    rows = statements(model, tok, MEASURED, facts)
    if not rows:
        return None
    with preserved(model), fused_activations(model):
        model.eval()
        before = said(model, rows)
        with update.applied(model):
            return movement(model, rows, before)


def _judge(moved: Movement | None, hparams: EditHyperParams) -> None:
    """Refuse an edit that moves too much besides its facts, or warn of it and say what to do."""
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
    spec: Algorithm,
    model: nn.Module,
    tok: Tokenizer,
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
        model = copying.deepcopy(model)
    originals = solve_with(spec, model, tok, for_editors(requests), hparams).commit(model)
    return model, originals if return_orig_weights else OriginalWeights()
