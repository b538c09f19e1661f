"""EasyEdit's own evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from torch import nn

from easyedit_ice.easyedit.loading.import_hook import import_easyeditor
from easyedit_ice.model.pretrained import pretrained
from easyedit_ice.model.tokenizer import Tokenizer


def easyedit_qualities(
    model: nn.Module, tok: Tokenizer, requests: Sequence[Mapping[str, Any]], hparams: Any
) -> list[dict[str, Any]]:
    """The scores of EasyEdit's own ``compute_edit_quality``, request by request.

    Args:
        model: a model of transformers, in the mode EasyEdit shall find it in.
        tok: its tokenizer.
        requests: as EasyEdit's editors make them.
        hparams: EasyEdit's hyperparameters; ``max_length`` is used, and whatever sets the protocol.
    """
    evaluate = import_module(f"{import_easyeditor().__name__}.evaluate").compute_edit_quality
    device = str(next(model.parameters()).device)
    return [evaluate(model, pretrained(model).config.model_type, hparams, tok, request, device) for request in requests]
