"""An edited model as any transformers checkpoint, whatever its edits are."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from easyedit_ice.edit.beside import gated_in
from easyedit_ice.edit.wider_mlps import widened
from easyedit_ice.model.saving import save_model
from easyedit_ice.model.tokenizer import Tokenizer


def save_edited(model: nn.Module, tok: Tokenizer, folder: str | Path) -> None:
    """Write a checkpoint that answers as the model does now; gates beside MLPs become further units of these.

    Args:
        model: edited.
        tok: its tokenizer.
        folder: made if need be.

    Raises:
        UpdateError: as :func:`~easyedit_ice.model.saving.save_model`; or a checkpoint of such a model holds no gates.
        OSError: the folder cannot be written to.
    """
    save_model(widened(model) if gated_in(model) else model, tok, folder)
