"""How far rounding alone moves a model with packed weights, below which no side effect of an edit can be told.

A matrix packed in 8 bits rounds what flows into it as well, to a grid that the largest entry of each token sets
(LLM.int8, arXiv 2208.07339). Any change before it, however small, moves some entries to the next point of the grid, and
the next matrix does the same again: what comes out moves by as much as after a change a hundred times larger. So a
change that means nothing is made, and what is asked after edits is asked after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from easyedit_ice.errors import AnatomyError
from easyedit_ice.model.anatomy import ModelAnatomy, Projection

SHARE = 1e-3
"""Length of the change at each token, in lengths of what the projection writes there."""


def packed_projection(model: nn.Module) -> Projection | None:
    """Of the packed projections that write to the residual stream the one midway.

    ``None`` where none is packed, or the model has no blocks that are known.
    """
    try:
        packed = [own for own in ModelAnatomy(model).projections if own.quantized and own.role == "out"]
    except AnatomyError:
        return None
    return packed[len(packed) // 2] if packed else None


@contextmanager
def barely_changed(projection: Projection) -> Iterator[None]:
    """Have a projection write :data:`SHARE` more at each token, in one direction, drawn once and always the same.

    Args:
        projection: of any model; it writes as before after the block.
    """
    drawn = torch.randn(projection.out_features, generator=torch.Generator().manual_seed(0))
    direction = drawn / drawn.norm()

    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        exact = output.float()
        moved = exact + SHARE * exact.norm(dim=-1, keepdim=True) * direction.to(output.device)
        result: Tensor = moved.to(output.dtype)
        return result

    handle = projection.module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
