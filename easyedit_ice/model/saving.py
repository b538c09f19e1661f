"""A model and its tokenizer as a checkpoint of transformers, whatever its generation settings hold."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from easyedit_ice.errors import UpdateError
from easyedit_ice.model.pretrained import pretrained
from easyedit_ice.model.side_branch import refuse_branches
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.runtime.progress import waiting

_OF_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff")
_OF_BEAMS = ("early_stopping", "length_penalty")


def save_model(model: nn.Module, tok: Tokenizer, folder: str | Path) -> None:
    """Write a checkpoint; generation settings that mean nothing as they stand are left out of it.

    transformers refuses to write, say, a temperature for a model that does not sample, as many checkpoints have it.

    Args:
        model: as it is now.
        tok: its tokenizer.
        folder: made if need be.

    Raises:
        UpdateError: as :func:`require_savable`, or an edit stands beside the model's weights.
        OSError: the folder cannot be written to.
    """
    require_savable(model, folder)
    refuse_branches(model, "a checkpoint")
    with waiting("writing the model"), _without_idle_settings(model):
        pretrained(model).save_pretrained(folder)
        tok.save_pretrained(folder)


def require_savable(model: nn.Module, folder: str | Path) -> None:
    """Refuse what :func:`save_model` would stumble over, before any work is done.

    Raises:
        UpdateError: the folder is a file, or the model's generation settings contradict each other.
    """
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UpdateError(f"{folder} is a file; give a folder to write the model to")
    with _without_idle_settings(model):
        settings = getattr(model, "generation_config", None)
        try:
            if settings is not None:
                settings.validate(strict=True)
        except ValueError as error:
            raise UpdateError(
                f"transformers does not write the model's generation_config ({error}); correct model.generation_config"
            ) from error


@contextmanager
def _without_idle_settings(model: nn.Module) -> Iterator[None]:
    """Without generation settings that have no effect: of sampling where none is done, of beams where there is one."""
    from transformers import GenerationConfig

    settings = getattr(model, "generation_config", None)
    if settings is None:
        yield
        return
    idle = (() if settings.do_sample else _OF_SAMPLING) + (() if (settings.num_beams or 1) > 1 else _OF_BEAMS)
    usual, tidied = GenerationConfig(), copy.deepcopy(settings)
    for name in idle:
        if hasattr(tidied, name):
            setattr(tidied, name, getattr(usual, name, None))
    model.generation_config = tidied
    try:
        yield
    finally:
        model.generation_config = settings
