"""Weights that are not what they seem, and that no update can be added to as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn

from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.pretrained import weight_of

_PLAIN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
_SHOWN = 3


def refuse_foreign_packing(model: nn.Module) -> None:
    """Refuse models whose weights something else than bitsandbytes has packed, such as GGUF, FP8, MXFP4 or GPTQ.

    transformers neither saves nor trains a GGUF model, even where it has unpacked the weights.
    """
    told = getattr(model, "quantization_method", None)
    method = getattr(told, "value", told)
    if method in (None, "bitsandbytes"):
        return
    if method == "gguf":
        raise AnatomyError(
            f"this {type(model).__name__} was read from a GGUF file without being unpacked; load it with "
            "easyedit_ice.load_model, whose model_name may be the .gguf file, or read it with "
            "quantization_config=GgufConfig(dequantize=True)"
        )
    raise AnatomyError(
        f"the weights of this {type(model).__name__} are packed by {method!r}, which no update can be added to; load "
        "the checkpoint in bfloat16 (of FP8 and MXFP4, transformers unpacks with dequantize=True in the "
        "quantization_config), or in 4 or 8 bits through bitsandbytes (quantization_bit)"
    )


def refuse_scaled(name: str, module: nn.Module) -> None:
    """Refuse a projection whose matrix is not its weight alone: with a scale beside it, or made of other parameters."""
    weight = weight_of(module)
    held = [*dict(module.named_parameters(recurse=False)), *dict(module.named_buffers(recurse=False))]
    scales = [other for other in held if "scale" in other]
    if scales or (weight.is_floating_point() and weight.dtype not in _PLAIN):
        beside = f", with {', '.join(scales)} beside it" if scales else ""
        kind = str(weight.dtype).removeprefix("torch.")
        raise AnatomyError(
            f"the weight of {name} is kept as {kind}{beside}, and is not the matrix by itself; load the model "
            "unpacked, in bfloat16 or float32, or in 4 or 8 bits through bitsandbytes"
        )
    if "weight" not in held:
        raise AnatomyError(
            f"the weight of {name} is made of other parameters ({', '.join(held) or 'none of its own'}), as weight "
            "norm does; remove the parametrisation first (torch.nn.utils.parametrize.remove_parametrizations)"
        )


def refuse_adapter(name: str, module: nn.Module) -> None:
    """Refuse to take a model apart that holds an adapter of peft's: its factors are no projections of the model."""
    if isinstance(getattr(module, "base_layer", None), nn.Module):
        raise AnatomyError(
            f"{name} carries an adapter ({type(module).__name__}); merge it first (model = model.merge_and_unload(), "
            "or peft's AutoPeftModelForCausalLM) and edit the merged model, or take it off (model.unload())"
        )


def refuse_offloaded(model: nn.Module) -> None:
    """Refuse models of which some weights are elsewhere between their uses, on the disk or in the CPU's memory.

    Raises:
        AnatomyError: with their names.
    """
    absent = sorted({name.rpartition(".")[0] for name, weight in model.named_parameters() if weight.is_meta})
    if absent:
        raise AnatomyError(
            f"{_some(absent)} have no weights here: device_map has left them on the disk or in the CPU's memory; load "
            "the whole model on one device (device: cpu, or a dtype or quantization_bit that fits the GPUs)"
        )


def refuse_laid_out(model: nn.Module) -> None:
    """Refuse 4-bit weights that bitsandbytes has laid out for inference: they pass no gradient on, and say nothing."""
    for name, parameter in model.named_parameters():
        if getattr(getattr(parameter, "quant_state", None), "packing_format_for_cpu", False):
            raise AnatomyError(
                f"{name} was laid out for inference on the CPU by bitsandbytes and passes no gradients on; load the "
                "model with easyedit_ice.load_model, or set support_avx512bf16_for_cpu = False on its Linear4bit "
                "modules before its first use"
            )


def keep_differentiable(model: nn.Module) -> list[nn.Module]:
    """Keep bitsandbytes from laying 4-bit weights out for inference on a CPU, which loses gradients silently.

    Returns:
        the modules that would have been laid out.
    """
    willing = [module for module in model.modules() if getattr(module, "support_avx512bf16_for_cpu", False)]
    for module in willing:
        cast("Any", module).support_avx512bf16_for_cpu = False
    return willing


@contextmanager
def differentiable(model: nn.Module) -> Iterator[None]:
    """:func:`keep_differentiable` for a while.

    Raises:
        AnatomyError: the weights are laid out for inference already.
    """
    refuse_laid_out(model)
    willing = keep_differentiable(model)
    try:
        yield
    finally:
        for module in willing:
            cast("Any", module).support_avx512bf16_for_cpu = True


def not_finite(model: nn.Module) -> list[str]:
    """Names of parameters that hold NaN or infinite numbers."""
    floats = ((name, weight.detach()) for name, weight in model.named_parameters() if weight.dtype in _PLAIN)
    return [name for name, weight in floats if not weight.isfinite().all()]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
