"""Whether a model can be edited at all: it says numbers before any edit, and of each token from those before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from easyedit_ice.edit.request import EditRequest
from easyedit_ice.errors import UnsoundModelError
from easyedit_ice.model.logits import logits_at
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.model.tokenizer import Tokenizer
from easyedit_ice.model.unusual_weights import not_finite
from easyedit_ice.text.tokens import tokens

_LOOKED_AT = 4
_SAME, _ROUNDINGS = 1e-3, 4
"""Most that a later token may move an earlier prediction, in standard deviations of its logits: this, or some ε."""
_SHOWN = 3


@torch.no_grad()
def require_sound(model: nn.Module, tok: Tokenizer, requests: Sequence[EditRequest]) -> None:
    """Refuse a model whose answers no edit could mend; the first few facts are looked at.

    Args:
        model: before the edit, in evaluation mode.
        tok: its tokenizer.
        requests: the facts.

    Raises:
        UnsoundModelError: logits are NaN or infinite, or a token is predicted by those after it.
    """
    for request in requests[:_LOOKED_AT]:
        ids = tokens(tok, request.asked() + request.completion)
        first, second = _with_two_ends(model, ids)
        if not (first.isfinite().all() and second.isfinite().all()):
            raise UnsoundModelError(_not_numbers(model, request))
        rounding = torch.finfo(embedding_weight(model).dtype).eps
        if (first - second).abs().max() > max(_SAME, _ROUNDINGS * rounding) * first.std():
            raise UnsoundModelError(
                f"{type(model).__name__} predicts a token by those that follow it, as encoders do; expected a causal "
                "language model (of BERT and its kin, one with is_decoder: true in its configuration)"
            )


def _with_two_ends(model: nn.Module, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Logits before the last token of a text, and of the same text with another last token: (v,) each in fp32."""
    rows = embedding_weight(model)
    other = next((token for token in ids if token != ids[-1]), (ids[-1] + 1) % len(rows))
    pair = torch.tensor([ids, [*ids[:-1], other]], device=rows.device)
    inputs = {"input_ids": pair, "attention_mask": torch.ones_like(pair)}
    place = max(len(ids) - 2, 0)
    return tuple(logits_at(model, inputs, [(0, place), (1, place)]).float())


def _not_numbers(model: nn.Module, request: EditRequest) -> str:
    damaged = not_finite(model)
    said = f"the model's answer to {request.prompt!r} is not a number before any edit"
    if damaged:
        shown = ", ".join(damaged[:_SHOWN]) + (f" and {len(damaged) - _SHOWN} more" if len(damaged) > _SHOWN else "")
        return f"{said}: {shown} hold NaN or infinite numbers; load the checkpoint anew, or take another one"
    kind = str(embedding_weight(model).dtype).removeprefix("torch.")
    return (
        f"{said}, and its weights are numbers: they overflow in {kind}; load it with dtype: bfloat16 or float32, the "
        "type it was trained in"
    )
