"""A pass that begins at a block: what the blocks below it return for a text is worked out once.

below = Below(lower_blocks(model, projections, ids))
for _ in range(times):  # with other weights in the projections each time
    with below.once(ids):
        model(input_ids=torch.tensor([ids]))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from easyedit_ice.model.anatomy import ModelAnatomy, Projection
from easyedit_ice.model.capture import watching
from easyedit_ice.model.edit_state import state_of
from easyedit_ice.model.forward_overrides import copied, replaced_forwards
from easyedit_ice.model.logits import logits_at
from easyedit_ice.model.pretrained import embedding_weight

_READ = 8
"""Most tokens of the text that it is tried with."""
_MISSING = (AttributeError, LookupError, TypeError, ValueError)
"""What a block raises that is not given what those below hand on beside hidden states."""


class Below:
    """Lower blocks of a model, which run once for each input.

    Args:
        blocks: all up to one, from the lowest on; none lets every pass run as a whole.
    """

    def __init__(self, blocks: Sequence[nn.Module] = ()) -> None:
        self._blocks = tuple(blocks)
        self._returned: dict[Hashable, Any] = {}

    @contextmanager
    def once(self, given: Hashable) -> Iterator[None]:
        """One pass within the block; the blocks run if the model was not given this before.

        Args:
            given: tells the input of the pass from all others.
        """
        if given in self._returned:

            def returned(*args: Any, **kwargs: Any) -> Any:
                return copied(self._returned[given])

            with replaced_forwards(dict.fromkeys(self._blocks, returned)):
                yield
            return

        def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            self._returned[given] = copied(output)

        with watching(self._blocks[-1:], after=note):
            yield


def lower_blocks(model: nn.Module, projections: Sequence[Projection], ids: Sequence[int]) -> tuple[nn.Module, ...]:
    """The blocks that changes of some projections leave as they are, if a pass can begin above them, or none.

    Args:
        model: in evaluation mode.
        projections: that will change.
        ids: of a text to try it with, once for each model.
    """
    lowest = min(projection.layer for projection in projections)
    lower = tuple(ModelAnatomy(model).blocks[:lowest])
    changing = {id(projection.weight) for projection in projections}
    if not lower or any(id(parameter) in changing for block in lower for parameter in block.parameters()):
        return ()
    known = state_of(model).derived.setdefault("enterable", {})
    if lowest not in known:
        known[lowest] = _enterable(model, lower, tuple(ids[:_READ]))
    return lower if known[lowest] else ()


@torch.no_grad()
def _enterable(model: nn.Module, lower: Sequence[nn.Module], ids: tuple[int, ...]) -> bool:
    """Whether lower blocks run once in a pass, and the model says the same of a text, to the bit, where they have run
    for it before, and for another text since.

    It does not where they hand on more than hidden states to those above.
    """
    below, calls = Below(lower), Counter[nn.Module]()

    def said(text: tuple[int, ...]) -> Tensor:
        row = torch.tensor([text], device=embedding_weight(model).device)
        inputs = {"input_ids": row, "attention_mask": torch.ones_like(row)}
        with below.once(text):
            return logits_at(model, inputs, [(0, len(text) - 1)])

    with watching(set(lower), after=lambda module, args, output: calls.update([module])):
        whole = said(ids)
    said(ids[::-1])
    try:
        return all(calls[block] == 1 for block in lower) and torch.equal(said(ids), whole)
    except _MISSING:
        return False
