"""What EasyEdit's methods want besides facts and settings, and settings they read from a model's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch import nn

from easyedit_ice.errors import HyperParamsError
from easyedit_ice.models.named import NAMES, checkpoint_of

# model_type -> a name by which EasyEdit's methods know how such a model stores its weights.
_KNOWN_AS = {"gpt2": "gpt2-xl", "gptj": "gpt-j-6b"}
_BY_NAME = ("KN", "SimIE", "WISE")


def fit_settings(name: str, hparams: Any, model: nn.Module, kept: Sequence[str]) -> None:
    """Settle what a method would otherwise get wrong about this model.

    Args:
        name: of the method.
        hparams: of EasyEdit's class; changed.
        model: to be edited.
        kept: texts that are to stay as they are, which WISE wants.

    Raises:
        HyperParamsError: WISE, and there are no such texts.
    """
    _name_checkpoints(hparams)
    if name in _BY_NAME:
        kind = model.config.model_type
        hparams.model_name = _KNOWN_AS.get(kind, kind)
    if name == "SimIE":
        hparams.base_hparams.model_name, hparams.base_hparams.device = hparams.model_name, hparams.device
    if name == "WISE":
        hparams.sequential_edit = True
        if not kept:
            raise HyperParamsError("WISE wants texts to keep as they are: give example facts with locality probes")


def locality_texts(example: Mapping[str, Any]) -> list[str]:
    """A request's locality probes, each with its answer."""
    return [
        f"{prompt} {answer}"
        for kind in example.get("locality", {}).values()
        for prompt, answer in zip(kind["prompt"], kind["ground_truth"], strict=True)
    ]


def _name_checkpoints(hparams: Any) -> None:
    """Put a model's folder where a setting names it by our name; also in settings of settings, as MELO has them."""
    for field in fields(hparams):
        value = getattr(hparams, field.name)
        if isinstance(value, str) and value in NAMES:
            setattr(hparams, field.name, checkpoint_of(value))
        elif is_dataclass(value):
            _name_checkpoints(value)
