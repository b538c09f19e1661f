"""When EasyEdit fails: edits that were to be undone are undone as well, and errors say where they come from."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from easyedit_ice.errors import EasyEditIceError, HostEditError
from easyedit_ice.host.locate import host_info
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


@contextmanager
def named_failures(method: str) -> Iterator[None]:
    """Say of what EasyEdit's code raises where it comes from; want of memory says enough of itself.

    Raises:
        HostEditError: in place of anything that is not an error of this package.
    """
    try:
        yield
    except (EasyEditIceError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise HostEditError(
            f"{method} of {host_info()} failed with {type(error).__name__}: {str(error) or where.line} "
            f"({where.name}, {Path(where.filename).name}:{where.lineno})"
        ) from error
