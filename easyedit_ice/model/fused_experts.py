"""Mixtures of experts whose matrices are slices of one parameter, read as a single projection.

An expert e writes gₑ Wₑ hₑ, where hₑ are its inner values for a token and gₑ is the router's weight for it, and the
experts write the sum. That is W k: W holds all Wₑ side by side, and the key k holds gₑ hₑ at the place of each expert
that the token is routed to, and zeros elsewhere. Nothing about a key changes another expert than these.

Shapes: t tokens, e experts, m the inner width of one, d that of the residual stream.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

WEIGHT = "down_proj"
"""Name of the parameter that holds what experts write by: (e, d, m), or (e, m, d)."""
_INNER = ("gate_up_proj", "up_proj")
_TRAITS = ("has_gate", "is_transposed", "has_bias", "has_post_expert_norm")
"""What transformers notes of such experts (``use_experts_implementation``), whatever the model is called."""


def is_fused(module: nn.Module) -> bool:
    """Whether a module is a mixture of this form: not one with a norm after each expert, packed, or parted by GPUs."""
    weight = getattr(module, WEIGHT, None)
    return (
        isinstance(weight, Tensor)
        and weight.ndim == 3
        and weight.is_floating_point()
        and all(hasattr(module, trait) for trait in _TRAITS)
        and not module.has_post_expert_norm
        and not getattr(module, "_is_expert_parallel", False)
        and isinstance(getattr(module, _INNER[not module.has_gate], None), Tensor)
    )


def what_is_read(module: nn.Module, args: tuple[Any, ...]) -> Any:
    """What the weight of a module is multiplied with: its first argument, or the keys (t, e m) of fused experts."""
    return _keys(module, *args) if len(args) == 3 and is_fused(module) else args[0]


def _keys(module: Any, hidden: Tensor, routed: Tensor, shares: Tensor) -> Tensor:
    """Keys of tokens, (t, e m).

    Args:
        module: the experts.
        hidden: what they read, (t, d).
        routed: to which experts, (t, k).
        shares: the router's weights for these, (t, k).
    """
    count, inner = module.down_proj.shape[0], module.down_proj.shape[1 if module.is_transposed else 2]
    keys = hidden.new_zeros(len(hidden), count, inner)
    for expert in routed.unique().tolist():
        tokens, turns = torch.where(routed == expert)
        keys[tokens, expert] = _inner(module, expert, hidden[tokens]) * shares[tokens, turns, None].to(hidden.dtype)
    return keys.flatten(1)


def _inner(module: Any, expert: int, hidden: Tensor) -> Tensor:
    """Inner values of one expert for some tokens, (t, m)."""
    name = _INNER[not module.has_gate]
    weight = getattr(module, name)[expert]
    bias = getattr(module, f"{name}_bias")[expert] if module.has_bias else None
    read = linear(hidden, weight.T if module.is_transposed else weight, bias)
    inner: Tensor = module._apply_gate(read) if module.has_gate else module.act_fn(read)
    return inner
