"""How what a model says answers to what its projections write: a score, and its gradient there.

Shapes: t tokens of all rows, in and out the widths of a projection, p places, v the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.model.capture import hidden_of, not_run, watching, with_hidden
from easyedit_ice.model.logits import logits_at
from easyedit_ice.model.pretrained import embedding_weight
from easyedit_ice.runtime.batching import by_row, padded

_SURE = 1e-6
"""Nats below which a target counts as certain: rounding says nothing about it any more."""


def odds(nll: Tensor) -> Tensor:
    """log(p / (1 - p)) of p = exp(-nll), (n,) for negative log-likelihoods in nats."""
    bounded = nll.clamp(min=_SURE)
    return -bounded - (-torch.expm1(-bounded)).log()


def pulled(
    model: nn.Module, rows: Sequence[Sequence[int]], names: Sequence[str], where: Sequence[tuple[int, int]], score: Any
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """A score of the logits at some places, what projections read at each token, and the score's gradient there.

    Args:
        model: in evaluation mode.
        rows: token ids.
        names: paths of the projections.
        where: places, as (row, token).
        score: from logits (p, v) at these places to a tensor; the gradient is that of its sum.

    Returns:
        the score; (t, in) and (t, out) in fp32 on the CPU by path.

    Raises:
        AnatomyError: the model does not call a projection.
    """
    ids, real = padded(rows)
    device = embedding_weight(model).device
    keys: dict[str, Tensor] = {}
    written: dict[str, Tensor] = {}

    paths = {model.get_submodule(name): name for name in names}

    def watch(module: nn.Module, args: tuple[Tensor, ...], output: Any) -> Any:
        if not torch.is_grad_enabled():  # some models run their blocks several times, and learn from the last
            return output
        hidden = hidden_of(output)
        hidden = hidden if hidden.requires_grad else hidden.detach().requires_grad_()
        keys[paths[module]], written[paths[module]] = args[0].detach(), hidden
        return with_hidden(output, hidden.clone())  # some blocks add to what they are given in place

    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with watching(paths, after=watch), torch.enable_grad():
        inputs = {"input_ids": ids.to(device), "attention_mask": real.long().to(device)}
        outcomes = score(logits_at(model, inputs, where))
        total = outcomes.sum()
    if uncalled := [name for name in names if name not in written]:
        raise not_run(uncalled[0])
    gradients = torch.autograd.grad(total, [written[name] for name in names])

    def of_tokens(values: Tensor) -> Tensor:
        return by_row(values, len(rows))[real.to(values.device)].float().cpu()

    return (
        outcomes,
        {name: of_tokens(keys[name]) for name in names},
        {name: of_tokens(gradient) for name, gradient in zip(names, gradients, strict=True)},
    )
