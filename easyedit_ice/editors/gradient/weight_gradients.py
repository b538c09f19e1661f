"""Gradients of weights that are not trained, from what projections read and what comes back to them.

G = Σ δ xᵀ over all tokens, where x is a projection's input and δ the gradient of its output: this is ∂L/∂W also where W
is packed in 4 or 8 bits and has no gradient of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from easyedit_ice.model.anatomy import Projection
from easyedit_ice.model.capture import watching
from easyedit_ice.model.pretrained import weight_of
from easyedit_ice.runtime.batching import batches
from easyedit_ice.text.rows import Row, predict


def weight_gradients(
    model: nn.Module, projections: Sequence[Projection], rows: Sequence[Row], *, side_by_side: int
) -> dict[str, Tensor]:
    """∂L/∂W (out, in) in fp32 of each projection, by name, where L is the mean of the rows' losses.

    Args:
        model: in evaluation mode; its own weights get no gradient.
        projections: of the model.
        rows: whose predicted tokens make the loss.
        side_by_side: rows in one pass.
    """
    sums = {
        projection.name: torch.zeros(
            projection.out_features, projection.in_features, device=weight_of(projection.module).device
        )
        for projection in projections
    }

    names = {projection.module: projection.name for projection in projections}

    def watch(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if not torch.is_grad_enabled():  # some models run their blocks several times, and learn from the last
            return output
        inputs = args[0].detach()
        output = output if output.requires_grad else output.detach().requires_grad_().clone()

        def backward(grad: Tensor) -> None:
            sums[names[module]] += grad.flatten(0, -2).float().T @ inputs.flatten(0, -2).float()

        output.register_hook(backward)
        return output

    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        with watching(names, after=watch), torch.enable_grad():
            for together in batches(rows, side_by_side):
                loss = predict(model, together).nll().sum() / len(rows)
                loss.backward()
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
    return sums
