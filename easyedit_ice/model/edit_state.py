"""What this package keeps with a model: measurements of it as it was before any edit, and the edits that are in it.

It is an attribute of the model object, so that it is copied with the model and ends with it. It is no part of
``state_dict``, of checkpoints, or of a pickled model.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from easyedit_ice.errors import ModelInUseError
from easyedit_ice.runtime.interrupts import ending_with, holding

if TYPE_CHECKING:
    from easyedit_ice.edit.originals import OriginalWeights
    from easyedit_ice.edit.update import WeightUpdate
    from easyedit_ice.model.baseline import Baseline

Keys = Mapping[str, Tensor]
"""Module path -> (n, in): what a projection reads where an edit's facts are looked up and written."""

ATTRIBUTE = "_edit_state"
"""Name of the attribute of the model."""
_CREATING = threading.Lock()


class EditState:
    """The state of one model.

    Attributes:
        baseline: what was measured before any edit; ``None`` if nothing was.
        edits: keys of the edits that are in the model, the earliest first.
        commits: by update that is in the model, what takes it out again; for as long as the update exists.
        derived: by kind, what was worked out from the model and its edits, and can be worked out again.
        answering: whether the model answers with experts.
    """

    def __init__(self) -> None:
        self.baseline: Baseline | None = None
        self.edits: tuple[Keys, ...] = ()
        self.commits: WeakKeyDictionary[WeightUpdate, OriginalWeights] = WeakKeyDictionary()
        self.derived: dict[str, MutableMapping[Any, Any]] = {}
        self.answering = False
        self._lock = threading.RLock()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep other threads from editing the model within the block.

        Raises:
            ModelInUseError: another thread edits it.
        """
        held = ExitStack()
        with ending_with(held.close):
            if not (self._lock.acquire(blocking=False) and held.callback(self._lock.release) is not None):
                raise ModelInUseError(
                    "another thread edits this model; edit a model in one thread at a time, or a copy of it in each"
                )
            yield

    def __deepcopy__(self, memo: dict[int, Any]) -> EditState:
        """The same for a copy of the model; from here on each goes its own way. Tensors are shared: none is changed."""
        copied = memo[id(self)] = EditState()
        copied.baseline = None if self.baseline is None else self.baseline.copy()
        copied.edits = self.edits
        copied.commits = self.commits.copy()
        copied.derived = {kind: copy.copy(table) for kind, table in self.derived.items()}
        copied.answering = self.answering
        return copied

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Pickled as ``None``: a pickled model can be read without this package."""
        return type(None), ()


def state_of(model: nn.Module) -> EditState:
    """The state of a model, empty for a model that was never seen."""
    state = getattr(model, ATTRIBUTE, None)
    if state is None:
        with holding(_CREATING):
            state = getattr(model, ATTRIBUTE, None) or EditState()
            setattr(model, ATTRIBUTE, state)
    return state
