"""Rounding weights to 4 or 8 bits as bitsandbytes does, without packing them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.errors import AfterlifeError
from easyedit_ice.evaluation.afterlife.training import linear_layers, refuse_packed
from easyedit_ice.runtime.extras import require

_BLOCK = 64


@torch.no_grad()
def round_weights(model: nn.Module, bits: int) -> None:
    """Give every linear layer but the output's the values that bitsandbytes would pack it to.

    In 4 bits NF4 with blocks of 64 weights, in 8 bits LLM.int8's scale for each row: what ``load_in_4bit`` and
    ``load_in_8bit`` of transformers load. What a layer reads stays in the model's type.

    Args:
        model: changed in place.
        bits: 4 or 8.

    Raises:
        MissingExtraError: bitsandbytes is not installed.
        AfterlifeError: weights are packed already, or this bitsandbytes does not work on the model's device.
    """
    require("quant", f"rounding to {bits} bits")
    refuse_packed(model)
    rounded = _to_4_bits if bits == 4 else _to_8_bits
    for name, module in linear_layers(model):
        weight: Any = module.weight
        turned = not isinstance(module, nn.Linear)  # GPT-2's layers are stored (in, out)
        try:
            matrix = rounded((weight.data.T if turned else weight.data).contiguous())
        except (RuntimeError, NotImplementedError, AttributeError, OSError) as error:
            raise AfterlifeError(
                f"this bitsandbytes cannot round {name} to {bits} bits on {weight.device} ({error}); upgrade it, or "
                f"leave 'quantise{bits}' out"
            ) from error
        weight.data.copy_(matrix.T if turned else matrix)


def _to_4_bits(matrix: Tensor) -> Tensor:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    packed, state = quantize_4bit(matrix, blocksize=_BLOCK, quant_type="nf4")
    return dequantize_4bit(packed, state)


def _to_8_bits(matrix: Tensor) -> Tensor:
    from bitsandbytes.functional import int8_vectorwise_quant

    packed, scales, _ = int8_vectorwise_quant(matrix.half())
    rounded: Tensor = packed.float() * (scales.float() / 127)[:, None]
    return rounded
