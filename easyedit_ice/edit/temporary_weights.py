"""Deltas in a model's weights for a look at it, as a commit would round them.

The weights themselves are not written to: others stand in their place for a while, so that nothing has to be copied
back or compared. Nothing else is kept with the model, and the edits that are in it do not know of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor

from easyedit_ice.edit.beside import put_beside, take_away
from easyedit_ice.edit.delta import Delta
from easyedit_ice.edit.originals import changed_weight, refuse_infinite
from easyedit_ice.model.anatomy import Projection
from easyedit_ice.runtime.interrupts import ending_with


@contextmanager
def temporarily(targets: Iterable[tuple[Projection, Delta]]) -> Iterator[None]:
    """Have deltas in the model for the block; however it ends, the weights are the tensors that they were.

    Args:
        targets: projections of the model, each once, with its delta; some stand beside.

    Raises:
        UpdateError: a weight would become infinite or not a number.
    """
    weights: list[tuple[Tensor, Tensor]] = []
    beside: list[tuple[Projection, Delta]] = []

    def end() -> None:
        for weight, before in weights:
            weight.data = before
        for projection, delta in beside:
            take_away(projection.module, delta)

    with ending_with(end):
        for projection, delta in targets:
            if projection.quantized or delta.beside:
                refuse_infinite(projection, delta)
                beside.append((projection, delta))
                put_beside(projection.module, delta)
            else:
                weight = projection.weight
                changed = changed_weight(projection, delta)
                weights.append((weight, weight.data))
                weight.data = changed
        yield
