"""What EasyEdit's methods want besides facts and settings, and settings they read from a model's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import nn

from easyedit_ice.checkpoints.names import NAMES, checkpoint_of
from easyedit_ice.easyedit.auto_settings.model_shape import ModelShape
from easyedit_ice.errors import HostEditError
from easyedit_ice.model.anatomy import ModelAnatomy

# A name by which EasyEdit's methods know such a model -> where its MLP's first and last projection lie.
_KNOWN_AS = {
    "gpt2-xl": ("transformer.h.{}.mlp.c_fc", "transformer.h.{}.mlp.c_proj"),
    "gpt-j-6b": ("transformer.h.{}.mlp.fc_in", "transformer.h.{}.mlp.fc_out"),
    "llama": ("model.layers.{}.mlp.gate_proj", "model.layers.{}.mlp.down_proj"),
}


def fit_kn(hparams: Any, model: nn.Module) -> None:
    """Name the model so that KN finds its neurons.

    Raises:
        HostEditError: EasyEdit does not know where such a model keeps them.
    """
    shape = ModelShape(ModelAnatomy(model))
    hparams.model_name = _named_by_paths(shape)


def fit_wise(hparams: Any, model: nn.Module) -> None:
    """Name the model by how it stores weights, and its activation."""
    hparams.model_name = _named_by_storage(model)
    hparams.sequential_edit = True
    hparams.hidden_act = _activation(model.config)


def fit_simie(hparams: Any, model: nn.Module) -> None:
    """Name the model by how it stores weights, for the method within as well."""
    hparams.model_name = _named_by_storage(model)
    hparams.base_hparams.model_name, hparams.base_hparams.device = hparams.model_name, hparams.device


def name_checkpoints(hparams: Any) -> None:
    """Put a model's folder where a setting names it by our name; also in settings of settings, as MELO has them."""
    for field in fields(hparams):
        value = getattr(hparams, field.name)
        if isinstance(value, str) and value in NAMES:
            setattr(hparams, field.name, checkpoint_of(value))
        elif is_dataclass(value):
            name_checkpoints(value)


def locality_texts(example: Mapping[str, Any]) -> list[str]:
    """A request's locality probes, each with its answer."""
    return [
        f"{prompt} {answer}"
        for kind in example.get("locality", {}).values()
        for prompt, answer in zip(kind["prompt"], kind["ground_truth"], strict=True)
    ]


def _named_by_storage(model: nn.Module) -> str:
    return "gpt2-xl" if ModelShape(ModelAnatomy(model)).kind == "transposed" else "llama"


def _named_by_paths(shape: ModelShape) -> str:
    """The name that leads KN to the model's MLPs."""
    lie = shape.projections("mlp", "in")[0], shape.writer("mlp")
    for name, paths in _KNOWN_AS.items():
        if lie == paths:
            return name
    places = ", ".join(paths[0] for paths in _KNOWN_AS.values())
    raise HostEditError(f"EasyEdit's KN looks for neurons in {places}; those of this model lie in {lie[0]}")


def _activation(config: Any) -> str | None:
    """The MLP's activation, which WISE finds by the names that GPT-2's and Llama's configurations have for it."""
    names = ("hidden_act", "activation_function", "hidden_activation")
    return next((value for name in names if (value := getattr(config, name, None))), None)
