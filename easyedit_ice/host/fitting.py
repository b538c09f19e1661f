"""What EasyEdit's methods want besides facts and settings, and settings they read from a model's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch import nn

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.errors import HostEditError, HyperParamsError
from easyedit_ice.host.shape import ModelShape
from easyedit_ice.models.named import NAMES, checkpoint_of

# A name by which EasyEdit's methods know such a model -> where its MLP's first and last projection lie.
_KNOWN_AS = {
    "gpt2-xl": ("transformer.h.{}.mlp.c_fc", "transformer.h.{}.mlp.c_proj"),
    "gpt-j-6b": ("transformer.h.{}.mlp.fc_in", "transformer.h.{}.mlp.fc_out"),
    "llama": ("model.layers.{}.mlp.gate_proj", "model.layers.{}.mlp.down_proj"),
}


def fit_settings(name: str, hparams: Any, model: nn.Module, kept: Sequence[str]) -> None:
    """Settle what a method would otherwise get wrong about this model.

    Args:
        name: of the method.
        hparams: of EasyEdit's class; changed.
        model: to be edited.
        kept: texts that are to stay as they are, which WISE wants.

    Raises:
        HyperParamsError: WISE, and there are no such texts.
        HostEditError: KN, and EasyEdit does not know where such a model keeps its neurons.
    """
    _name_checkpoints(hparams)
    shape = ModelShape(ModelAnatomy(model))
    if name == "KN":
        hparams.model_name = _named_by_paths(shape)
    if name in ("SimIE", "WISE"):
        hparams.model_name = "gpt2-xl" if shape.kind == "transposed" else "llama"
    if name == "SimIE":
        hparams.base_hparams.model_name, hparams.base_hparams.device = hparams.model_name, hparams.device
    if name == "WISE":
        hparams.sequential_edit = True
        hparams.hidden_act = _activation(model.config)
        if not kept:
            raise HyperParamsError("WISE wants texts to keep as they are: give example facts with locality probes")


def _named_by_paths(shape: ModelShape) -> str:
    """The name that leads KN to the model's MLPs."""
    lie = shape.projections("mlp", "in")[0], shape.writer("mlp")
    for name, paths in _KNOWN_AS.items():
        if lie == paths:
            return name
    known = ", ".join(paths[0] for paths in _KNOWN_AS.values())
    raise HostEditError(f"EasyEdit's KN looks for neurons in {known}; those of this model lie in {lie[0]}")


def _activation(config: Any) -> str | None:
    """The MLP's activation, which WISE finds by the names that GPT-2's and Llama's configurations have for it."""
    names = ("hidden_act", "activation_function", "hidden_activation")
    return next((found for name in names if (found := getattr(config, name, None))), None)


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
