"""What EasyEdit's methods draw or compute at their first edit, done before it.

Done at the first edit, it would depend on which edit that is, and in a run that goes on where another ended it would be
drawn from an edited model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import nn

from easyedit_ice.model.tokenizer import Tokenizer


def draw_templates(
    apply: Callable[..., Any],
    model: nn.Module,
    tok: Tokenizer,
    hparams: Any,
    lengths: Sequence[Sequence[int]] | None = None,
) -> None:
    """Have the method draw the texts that it puts before prompts, from torch's present random state.

    Args:
        apply: EasyEdit's function.
        model: as it is before any edit.
        tok: its tokenizer.
        hparams: of EasyEdit's class.
        lengths: lengths of the texts and how many there are of each, where the settings do not say.
    """
    draw = _module(apply).get_context_templates
    offered = {
        "model": model,
        "tok": tok,
        "length_params": getattr(hparams, "context_template_length_params", lengths),
        "device": next(model.parameters()).device,
        "length": getattr(hparams, "ctx_len", None),
        "ctx_top_k": getattr(hparams, "ctx_top_k", None),
        "ctx_num": getattr(hparams, "ctx_num", None),
    }
    draw(**{name: offered[name] for name in signature(draw).parameters})


def compute_null_space(apply: Callable[..., Any], model: nn.Module, tok: Tokenizer, hparams: Any) -> None:
    """Compute what AlphaEdit and SPHERE project on; by themselves they do it for models of a few names only.

    A file that ``P_loc`` names is used instead. Nothing is written to the disk.
    """
    module = _module(apply)
    if Path(hparams.P_loc).is_file():
        module.P = torch.load(hparams.P_loc)
    else:
        module.P = torch.stack([module.get_project(model, tok, layer, hparams) for layer in hparams.layers])
        hparams.P_loc = module.__file__
    module.P_loaded = True
    module.cache_c, module.cache_c_new = torch.zeros_like(module.P), True


def _module(apply: Callable[..., Any]) -> Any:
    return sys.modules[apply.__module__]
