"""The edits that are in one model: any of them can be taken out again, in any order.

Nothing is subtracted. The tensors that edits write to are kept as they were before the first of them; taking one out
brings them back and commits the others again, in their order. So the bits are those of a model that never had it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easyedit_ice.edit.originals import OriginalWeights
from easyedit_ice.edit.update import WeightUpdate
from easyedit_ice.errors import UpdateError
from easyedit_ice.runtime.bits import checksum


@dataclass(frozen=True)
class Held:
    """An edit in a model.

    Attributes:
        key: tells it from all other edits.
        update: what it writes.
    """

    key: str
    update: WeightUpdate


class Stack:
    """Edits in one model, the earliest first. The model is passed to each method, and always the same."""

    def __init__(self) -> None:
        self._edits: list[tuple[Held, OriginalWeights]] = []
        self._before: dict[str, Tensor] = {}
        self._sums: dict[str, tuple[int, int]] = {}

    @property
    def edits(self) -> tuple[Held, ...]:
        """Those that are in the model."""
        return tuple(held for held, _ in self._edits)

    def hold(self, model: nn.Module, edits: Sequence[Held], *, whatever: bool = False) -> None:
        """Have exactly these edits in the model; if that fails, it is left as it was.

        Args:
            model: the one whose edits these are.
            edits: the earliest first.
            whatever: also if somebody else has written to the tensors since, whose change is lost.

        Raises:
            UpdateError: somebody else has written to them, or an edit does not fit the model.
        """
        if not whatever:
            self._require_untouched(model)
        before = self.edits
        try:
            self._become(model, edits)
        except BaseException:
            self._become(model, before)
            raise

    def _become(self, model: nn.Module, edits: Sequence[Held]) -> None:
        stay = len(self._edits)
        if [held.key for held in self.edits] != [held.key for held in edits[:stay]] or self._touched(model):
            self._empty(model)
            stay = 0
        for held in edits[stay:]:
            self._write(model, held)
        self._sums = {name: checksum(model.get_parameter(name)) for name in self._before}

    def _write(self, model: nn.Module, held: Held) -> None:
        once = WeightUpdate(held.update.deltas, held.update.info, held.update.keys)
        originals = once.commit(model)
        for name in originals:
            self._before.setdefault(name, originals[name])
        originals.clear()
        self._edits.append((held, originals))

    def _empty(self, model: nn.Module) -> None:
        while self._edits:
            # No tensor is left in it; what stands beside packed weights is detached, and the keys are forgotten.
            self._edits.pop()[1].restore(model)
        with torch.no_grad():
            for name, tensor in self._before.items():
                model.get_parameter(name).copy_(tensor)
        self._before.clear()

    def _require_untouched(self, model: nn.Module) -> None:
        if changed := self._touched(model):
            raise UpdateError(
                f"{', '.join(changed)} changed after the book's edits were applied; take back what changed them first"
            )

    def _touched(self, model: nn.Module) -> list[str]:
        return [name for name, sum_ in self._sums.items() if checksum(model.get_parameter(name)) != sum_]
