"""A method by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from easyedit_ice.bench.methods.context import ContextMethod, PromptHyperParams, in_demonstrations, in_prompt
from easyedit_ice.bench.methods.method import THEIRS_AT_A_FACT, Method
from easyedit_ice.bench.methods.model_method import ModelMethod
from easyedit_ice.bench.methods.ours import PackageEngine
from easyedit_ice.bench.methods.retrieval import RetrievalHyperParams, RetrievalMethod
from easyedit_ice.bench.methods.searching import searcher
from easyedit_ice.checkpoints.loading import load_model, load_shapes
from easyedit_ice.data.easyedit_requests import RequestDict
from easyedit_ice.easyedit.methods.catalogue import HOST_METHODS, LEFT_OUT
from easyedit_ice.easyedit.methods.engine import HostMethod
from easyedit_ice.easyedit.methods.host_settings import AUTO, has_host_preset, host_settings, to_plain
from easyedit_ice.easyedit.methods.ike import HostIke
from easyedit_ice.edit.hparams import EditHyperParams
from easyedit_ice.edit.registry import ALGORITHMS
from easyedit_ice.errors import HyperParamsError, UnknownAlgorithmError, did_you_mean
from easyedit_ice.model.anatomy import ModelAnatomy
from easyedit_ice.model.pretrained import embedding_weight, pretrained
from easyedit_ice.model.tokenizer import Tokenizer

METHODS = ("Prompt", "Retrieval", *HOST_METHODS)
"""Names that :func:`make_method` knows besides those of the table of algorithms."""


class ModelSettings(Protocol):
    """Which model is edited, as :class:`~easyedit_ice.edit.hparams.EditHyperParams` names it."""

    name: str
    device: int | str | None
    dtype: str
    chat: bool


Model = ModelSettings | tuple[nn.Module, Tokenizer]


H = TypeVar("H", bound=EditHyperParams)


def make_method(
    name: str,
    *,
    model: Model,
    preset: str | Path | None = None,
    settings: Mapping[str, Any],
    examples: Sequence[RequestDict] = (),
) -> Method:
    """Load a model and what edits it.

    Args:
        name: an algorithm of the table, one of EasyEdit's methods, ``"Prompt"``, or ``"Retrieval"``.
        model: what to load; or a model and its tokenizer, loaded already.
        preset: a file of settings, or the name of a preset; by default the one that is named like the model. For
            EasyEdit's methods ``"auto"`` makes settings from the model's shape, as the lack of such a preset does.
        settings: single settings that take precedence over the preset's.
        examples: requests of other facts than those to be edited, for methods that show some to the model.

    Raises:
        UnknownAlgorithmError: there is no such method.
        HyperParamsError: there is no such preset, a setting does not fit, or a chat is asked for and the method or the
            model has none.
        LoadingError: the model cannot be loaded.
        HostError: EasyEdit has no such method.
    """
    if name not in METHODS and name not in ALGORITHMS:
        why = f" EasyEdit's {name} cannot be compared here: {LEFT_OUT[name]}." if name in LEFT_OUT else ""
        raise UnknownAlgorithmError(
            f"there is no method {name!r}.{why}{did_you_mean(name, [*METHODS, *ALGORITHMS])} "
            f"Available: {', '.join([*ALGORITHMS, *METHODS])}"
        )
    if name in ALGORITHMS:
        return _ours(name, model, preset, settings)
    if name == "Prompt":
        return _prompt(model, preset, settings)
    if name == "Retrieval":
        return _retrieval(model, preset, settings)
    return _easyedit(name, model, preset, settings, examples)


def _ours(name: str, model: Model, preset: str | Path | None, settings: Mapping[str, Any]) -> Method:
    kind, usual = ALGORITHMS[name].hparams_class, f"{name}/{_stem(model)}"
    preset = preset or (usual if usual in kind.presets() else None)
    hparams = kind.from_dict(settings) if preset is None else kind.from_hparams(preset, **settings)
    loaded, tok = _loaded(model, hparams.quantization_bit)
    hparams = _settled(hparams, model, loaded)
    return ModelMethod(name, "ours", loaded, tok, PackageEngine(loaded, tok, hparams), hparams.to_dict(), _told(preset))


def _prompt(model: Model, preset: str | Path | None, settings: Mapping[str, Any]) -> Method:
    hparams = PromptHyperParams.from_hparams(preset, **settings) if preset else PromptHyperParams.from_dict(settings)
    loaded, tok = _loaded(model)
    tok.padding_side = "left"
    hparams = _settled(hparams, model, loaded)
    context = partial(in_prompt, hparams.template)
    return ContextMethod("Prompt", loaded, tok, hparams, hparams.to_dict(), context, _told(preset))


def _retrieval(model: Model, preset: str | Path | None, settings: Mapping[str, Any]) -> Method:
    kind = RetrievalHyperParams
    hparams = kind.from_hparams(preset, **settings) if preset else kind.from_dict(settings)
    loaded, tok = _loaded(model)
    tok.padding_side = "left"
    hparams = _settled(hparams, model, loaded)
    return RetrievalMethod(loaded, tok, hparams, searcher(hparams.search, loaded, tok), _told(preset))


def _settled(hparams: H, model: Model, loaded: nn.Module) -> H:
    """Settings with what is said of the model elsewhere."""
    chat = hparams.chat or getattr(model, "chat", False)
    return hparams.replace(model_name=_name(model), device=str(loaded.device), chat=chat)


def _easyedit(
    name: str, model: Model, preset: str | Path | None, settings: Mapping[str, Any], examples: Sequence[RequestDict]
) -> Method:
    demonstrates = HOST_METHODS[name].demonstrates
    if getattr(model, "chat", False) and not demonstrates:
        raise HyperParamsError(
            f"model.chat is true, but EasyEdit's {name} edits bare prompts; set model.chat=false, or choose one of our "
            "methods, Prompt, Retrieval or IKE"
        )
    preset = preset or (_stem(model) if has_host_preset(name, _stem(model)) else AUTO)
    hparams = host_settings(name, preset, settings, _anatomy(model) if preset == AUTO else None)
    loaded, tok = _loaded(model, getattr(hparams, "quantization_bit", None))
    hparams.model_name, hparams.device = _name(model), str(loaded.device)
    plain = to_plain(hparams)
    if demonstrates:
        ike = HostIke(loaded, tok, hparams, examples)
        context = partial(in_demonstrations, ike)
        return ContextMethod(name, loaded, tok, ike.hparams, plain, context, _told(preset), THEIRS_AT_A_FACT)
    engine = HostMethod(name, loaded, tok, hparams, examples)
    return ModelMethod(name, "easyedit", loaded, tok, engine, plain, _told(preset))


def _told(preset: str | Path | None) -> str | None:
    return None if preset is None else str(preset)


def _anatomy(model: Model) -> ModelAnatomy:
    """What the model is made of; if it is not loaded yet, without its weights."""
    if isinstance(model, tuple):
        return ModelAnatomy(model[0])
    return ModelAnatomy(load_shapes(EditHyperParams(model_name=model.name, dtype=model.dtype)))


def _loaded(model: Model, quantization_bit: int | None = None) -> tuple[nn.Module, Tokenizer]:
    if isinstance(model, tuple):
        return model
    loaded, tok = load_model(
        EditHyperParams(
            model_name=model.name, device=model.device, dtype=model.dtype, quantization_bit=quantization_bit
        )
    )
    if quantization_bit is not None:
        _settle(loaded)
    return loaded, tok


@torch.no_grad()
def _settle(model: nn.Module) -> None:
    """Use packed layers once: bitsandbytes gives their biases another type when they are first used."""
    model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=embedding_weight(model).device))


def _name(model: Model) -> str:
    return str(pretrained(model[0]).config.name_or_path) if isinstance(model, tuple) else model.name


def _stem(model: Model) -> str:
    """Name of the presets made for the model: by default the last part of its own."""
    return getattr(model, "preset", None) or Path(_name(model)).name.lower()
