"""How EasyEdit's editor takes an edit out of a model: by what the method returned beside the edited model."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.easyedit.locate import PACKAGE


def taken_out(method: str, model: nn.Module, edited: Any, copies: Any) -> Any:
    """Undo an edit as ``BaseEditor.edit`` does where edits do not stay; the head's own code, or the release's way.

    Args:
        method: EasyEdit's name of it.
        model: that was edited.
        edited: what the method returned as the edited model.
        copies: what it returned beside that.

    Returns:
        the model that the editor then holds.
    """
    utilities = sys.modules.get(f"{PACKAGE}.editors.utils")
    restore = getattr(utilities, "restore_after_edit", None)
    if restore is None:
        _as_in_release(method, model, edited, copies)
        return model
    editor = SimpleNamespace(alg_name=method, model=model)
    restore(editor, edited, copies)
    return editor.model


@torch.no_grad()
def _as_in_release(method: str, model: nn.Module, edited: Any, copies: Any) -> None:
    """What stands in the loop of the release's ``BaseEditor.edit_requests``, which has no function for it."""
    if method == "KN":
        copies()
    elif method == "LoRA":
        edited.unload()
        if hasattr(model, "peft_config"):
            del model.peft_config
    else:
        _copy_back(model, copies)


def _copy_back(model: nn.Module, copies: Mapping[str, Tensor]) -> None:
    for name, value in copies.items():
        model.get_parameter(name)[...] = value.to(model.get_parameter(name).device)
