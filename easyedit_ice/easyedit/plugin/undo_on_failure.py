"""When EasyEdit fails: edits that were to be undone are undone as well, and errors say where they come from."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import nn

from easyedit_ice.easyedit.locate import host_info
from easyedit_ice.easyedit.plugin.restoring import WeightsCopy
from easyedit_ice.edit.originals import OriginalWeights
from easyedit_ice.errors import EasyEditIceError, HostEditError

_Last = dict[nn.Module, OriginalWeights]
_LAST: ContextVar[_Last | None] = ContextVar("last", default=None)
"""What undoes the last edit of each model, in the call of an editor that is going on."""


def remember(model: nn.Module, originals: OriginalWeights) -> None:
    """Keep what undoes the last edit of a model until the editor's call has ended; nothing, if it is to stay."""
    last = _LAST.get()
    if last is not None:
        last[model] = originals


def undoing_failures(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of ``BaseEditor`` that edits, scores and restores, made to restore whatever ends it.

    The originals that it returns are a plain dictionary, which may be looked at.
    """
    parameters = signature(method)

    @wraps(method)
    def edit(self: Any, *args: Any, **kwargs: Any) -> Any:
        last: _Last = {}
        token = _LAST.set(last)
        try:
            results = method(self, *args, **kwargs)
        except BaseException:
            stays = parameters.bind(self, *args, **kwargs).arguments.get("sequential_edit", False)
            if self.model in last and not stays:
                last[self.model].restore(self.model)
            raise
        finally:
            _LAST.reset(token)
        return _to_look_at(results)

    return edit


def _to_look_at(results: Any) -> Any:
    """What an editor returns, with originals that stay as they are when they are iterated over."""
    if not isinstance(results, tuple):
        return results
    return tuple(result.originals if isinstance(result, WeightsCopy) else result for result in results)


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
