"""What a norm does to each dimension of what passes through it, as one factor each, read from a pass.

A root mean square norm multiplies dimension i by w_i, and all of them by one number, which a direction has no use for;
so does a layer norm, but for a shift. The factor is found by least squares over tokens: Σ x_i y_i / Σ x_i².

Shapes: n tokens, d the width of the residual stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.anatomy import ModelAnatomy
from easyedit_ice.closed_form.contrast import places_of, read
from easyedit_ice.text.passes import by_row, hidden_of, padded
from easyedit_ice.text.rows import Row

_LEAST = 0.01
"""Factors much smaller than this part of the mean one are not made up for."""


def sought_before(residuals: Tensor, gain: Tensor) -> Tensor:
    """What must be added before a norm for so much to come out behind it, to first order and up to a common factor.

    Args:
        residuals: (n, d).
        gain: (d,).
    """
    return residuals * gain / (gain.square() + _LEAST * gain.square().mean())


@torch.no_grad()
def gain_behind(model: nn.Module, rows: Sequence[Row], projection: str, block: str) -> Tensor | None:
    """Of the norms that a block puts what its projection writes through, before the sum; ``None`` if there is none.

    Gemma 2 and 3, OLMo 2, GLM-4 and EXAONE 4 have such norms.
    """
    ids, real = padded([row.ids[:-1] for row in rows])
    device = model.get_input_embeddings().weight.device
    where = torch.tensor([(index, place) for index, row in enumerate(rows) for place in places_of(row)]).T
    passed: list[tuple[Tensor, Tensor]] = []
    written: list[Tensor] = []

    def after(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        hidden = hidden_of(output)
        if module is model.get_submodule(projection):
            written.append(hidden)
        elif written and args and args[0] is written[-1] and hidden is not written[-1]:
            passed.append((args[0], hidden))
            written.append(hidden)

    with ExitStack() as hooks:
        for module in model.get_submodule(block).modules():
            hooks.callback(module.register_forward_hook(after).remove)
        model(input_ids=ids.to(device), attention_mask=real.long().to(device), use_cache=False)
    if not passed:
        return None
    at = [tuple(by_row(side, len(rows))[tuple(where.to(side.device))].float() for side in pair) for pair in passed]
    return torch.stack([_gain(*pair) for pair in at]).prod(0)


@torch.no_grad()
def towards_targets(model: nn.Module, rows: Sequence[Row]) -> Tensor:
    """The direction of the last block's output in which each target's token gains most on its strongest rival: (n, d).

    That is g * (u - u'), where g are the factors of the norm before the output head, and u and u' the head's rows of
    the two tokens.

    Args:
        model: with an output head.
        rows: prompts and targets.
    """
    anatomy, head = ModelAnatomy(model), model.get_output_embeddings()
    path = next(name for name, module in model.named_modules() if module is head)
    last = read(model, rows, anatomy.layer_name(anatomy.num_layers - 1), "out")
    normed = read(model, rows, path, "in")
    own = torch.tensor([token for row in rows for token in row.predicted], device=normed.device)
    rivals = head(normed.to(head.weight.dtype)).float().scatter(1, own[:, None], -torch.inf).argmax(1)
    return _gain(last, normed) * (head.weight[own].float() - head.weight[rivals].float())


def _gain(before: Tensor, behind: Tensor) -> Tensor:
    return (before * behind).sum(0) / before.square().sum(0).clamp(min=torch.finfo(torch.float32).tiny)
