"""An edit that was to be undone is undone as well if EasyEdit fails, or is interrupted, while it scores it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from easyedit_ice.updates import OriginalWeights

_LAST: WeakKeyDictionary[nn.Module, OriginalWeights] = WeakKeyDictionary()


def remember(model: nn.Module, originals: OriginalWeights) -> None:
    """Keep what undoes the last edit of a model; nothing, if it is to stay."""
    _LAST[model] = originals


def undoing_failures(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of ``BaseEditor`` that edits, scores and restores, made to restore whatever ends it."""
    parameters = signature(method)

    @wraps(method)
    def edit(self: Any, *args: Any, **kwargs: Any) -> Any:
        _LAST.pop(self.model, None)
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            stays = parameters.bind(self, *args, **kwargs).arguments.get("sequential_edit", False)
            if self.model in _LAST and not stays:
                _LAST.pop(self.model).restore(self.model)
            raise

    return edit
