"""Methods of this package and of EasyEdit, ready to edit the embedded model one fact at a time."""

from __future__ import annotations

from typing import Any

import torch
from easyedit_own import own_hparams
from single_edits import Apply

from easyedit_ice import ALGORITHMS, world
from easyedit_ice.host import base_editor


def editing(method: str, settings: dict[str, Any] | None = None) -> tuple[Any, Any, Apply]:
    """Model, tokenizer, and a function that edits the model with one request and returns what it overwrote.

    Args:
        method: an algorithm of this package or of EasyEdit.
        settings: in place of the preset of ours, or besides the file of EasyEdit's.
    """
    path = str(world.model_path())
    if method not in ALGORITHMS:
        hparams = own_hparams(method, **{"model_name": path, **(settings or {})})
    elif settings is None:
        hparams = ALGORITHMS[method].hparams_class.from_hparams(f"{method}/gpt2-factworld")
    else:
        hparams = ALGORITHMS[method].hparams_class.from_dict({"model_name": path, "device": "cpu", **settings})
    editor = base_editor().from_hparams(hparams)

    def apply(request: dict[str, Any]) -> dict[str, torch.Tensor]:
        _, originals = editor.apply_algo(
            editor.model,
            editor.tok,
            [request],
            editor.hparams,
            copy=False,
            return_orig_weights=True,
            keep_original_weight=True,
        )
        return originals

    return editor.model, editor.tok, apply
