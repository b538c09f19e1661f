"""What edits that are in a model answer to: the keys by which later edits can leave them alone.

Shapes: n keys, in the width of the projection that reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from torch import Tensor, nn

Keys = Mapping[str, Tensor]
"""Module path -> (n, in): what a projection reads where an edit's facts are looked up and written."""

_EDITS: WeakKeyDictionary[nn.Module, tuple[Keys, ...]] = WeakKeyDictionary()


def edits_in(model: nn.Module) -> tuple[Keys, ...]:
    """The keys of each edit that is in the model and told them, the earliest first."""
    return _EDITS.get(model, ())


def remember(model: nn.Module, keys: Keys) -> None:
    """An edit with these keys is in the model now."""
    if keys:
        _EDITS[model] = (*edits_in(model), keys)


def forget(model: nn.Module, keys: Keys) -> None:
    """The edit with these keys is no longer in the model."""
    recall(model, tuple(other for other in edits_in(model) if other is not keys))


def recall(model: nn.Module, edits: tuple[Keys, ...]) -> None:
    """Exactly these edits are in the model."""
    if edits:
        _EDITS[model] = edits
    else:
        _EDITS.pop(model, None)
