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
from easyedit_ice.model.anatomy import Mlp, Site
from easyedit_ice.runtime.interrupts import ending_with


@contextmanager
def temporarily(targets: Iterable[tuple[Site, Delta]]) -> Iterator[None]:
    """Have deltas in the model for the block; however it ends, the weights are the tensors that they were.

    Args:
        targets: places in the model, each once, with its delta; some stand beside.

    Raises:
        UpdateError: a weight would become infinite or not a number.
    """
    weights: list[tuple[Tensor, Tensor]] = []
    beside: list[tuple[Site, Delta]] = []

    def end() -> None:
        for weight, before in weights:
            weight.data = before
        for site, delta in beside:
            take_away(site.module, delta)

    with ending_with(end):
        for site, delta in targets:
            if isinstance(site, Mlp) or site.quantized or delta.beside:
                refuse_infinite(site, delta)
                beside.append((site, delta))
                put_beside(site.module, delta)
            else:
                weight = site.weight
                changed = changed_weight(site, delta)
                weights.append((weight, weight.data))
                weight.data = changed
        yield
