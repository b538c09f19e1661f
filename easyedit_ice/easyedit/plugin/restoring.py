"""What EasyEdit is handed to restore a model by."""

from __future__ import annotations

from typing import Any
from weakref import ref

from torch import Tensor, nn

from easyedit_ice.edit.originals import OriginalWeights


class WeightsCopy(dict[str, Tensor]):
    """EasyEdit's ``weights_copy``, by which it restores: it copies every tensor of :meth:`items` back.

    Not all that an edit leaves in a model is a tensor, and nothing else tells that EasyEdit restores. So deltas beside
    packed weights are detached, and later edits are told that this one is gone, when the iteration starts.

    Attributes:
        originals: the same, to look at and to restore by without EasyEdit.
    """

    def __init__(self, model: nn.Module, originals: OriginalWeights) -> None:
        super().__init__(originals)
        self.originals = originals
        self._model = ref(model)

    def items(self) -> Any:
        """Names and tensors to copy back."""
        if (model := self._model()) is not None:
            self.originals.release(model)
        return super().items()
